"""Reading what was measured of a server."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from services.runtime.clock import Clock
from services.server_ops.inventory.server import Servers, view_of
from services.server_ops.monitoring.series import (
    DAY,
    DAY_SECONDS,
    FIVE_MINUTES,
    HOUR,
    RAW,
    Point,
    Resolution,
    is_asked_for,
)
from services.server_ops.monitoring.store import Measurements


class Period(StrEnum):
    """How far back is looked."""

    HOUR = "HOUR"
    DAY = "DAY"
    WEEK = "WEEK"
    MONTH = "MONTH"
    YEAR = "YEAR"


_FINE: Mapping[Period, tuple[Resolution, int]] = {
    Period.HOUR: (RAW, 3600),
    Period.DAY: (FIVE_MINUTES, DAY_SECONDS),
    Period.WEEK: (HOUR, 7 * DAY_SECONDS),
    Period.MONTH: (HOUR, 30 * DAY_SECONDS),
    Period.YEAR: (DAY, 365 * DAY_SECONDS),
}
"""How finely, and how many seconds back."""


@dataclass(frozen=True)
class History:
    """What was measured of a server."""

    series: Mapping[str, Sequence[Point]]
    """By name, in the order of names."""
    start: int
    """From when on, in seconds since 1970."""
    end: int
    step: int
    newest: datetime | None
    """When the newest measurement was made that is in it."""


class ReadMonitoring:
    """Answers for the account that a server belongs to."""

    def __init__(self, servers: Servers, measurements: Measurements, clock: Clock) -> None:
        self._servers = servers
        self._measurements = measurements
        self._clock = clock

    async def __call__(
        self, hostname: str, account: str, period: Period, names: Sequence[str]
    ) -> History:
        """The series that are asked for, or all. Raises ApiError(SERVER_NOT_GRANTED)."""
        await view_of(self._servers, hostname, account)
        resolution, seconds = _FINE[period]
        now = int(self._clock().timestamp())
        # Up to the step that is under way.
        end = now - now % resolution.step + resolution.step
        start = end - seconds
        found = await self._measurements.read(hostname, resolution, start, end)
        series = {name: found[name] for name in sorted(found) if is_asked_for(name, names)}
        newest = await self._measurements.newest(hostname) if series else None
        return History(series, start, end, resolution.step, newest)
