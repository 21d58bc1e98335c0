"""Where what was measured is kept."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from services.server_ops.bmc.observation import PowerState
from services.server_ops.bmc.sensor import Sensor
from services.server_ops.monitoring.series import Point, Resolution, Sample


@dataclass(frozen=True)
class Round:
    """One round of measuring a server."""

    hostname: str
    sample: Sample
    sensors: tuple[Sensor, ...] | None
    """None: the BMC did not answer."""
    power: PowerState
    seconds: float
    """How long its BMC took."""


@dataclass(frozen=True)
class Latest:
    """The newest round of a server."""

    hostname: str
    datacenter: str
    time: datetime
    sensors: tuple[Sensor, ...] | None
    power: PowerState
    seconds: float


@dataclass(frozen=True)
class Claimed:
    """Servers whose round is due."""

    hostnames: list[str]
    missed: int
    """How many rounds of theirs had passed already."""


class Measurements(Protocol):
    """Where what was measured is kept."""

    async def claim_due(self, now: datetime, limit: int) -> Claimed:
        """Servers whose round is due, `limit` at most; each again after RAW.step seconds.

        No two processes are given the same one.
        """
        ...

    async def append(self, rounds: list[Round]) -> None:
        """Keeps what was measured, rolls up what is over, and forgets what is old."""
        ...

    async def read(
        self, hostname: str, resolution: Resolution, start: int, end: int
    ) -> Mapping[str, list[Point]]:
        """The points of every series that begin in [start, end), seconds since 1970, in order.

        Both are multiples of the resolution's step.

        The step that is under way is among them, as far as it is measured.
        """
        ...

    async def newest(self, hostname: str) -> datetime | None:
        """When the server was measured last."""
        ...

    async def latest(self) -> list[Latest]:
        """The newest round of every server."""
        ...
