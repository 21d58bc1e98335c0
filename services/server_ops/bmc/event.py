"""Records of a BMC's event log."""

from dataclasses import dataclass
from datetime import datetime

from services.server_ops.bmc.sensor import Health


@dataclass(frozen=True)
class LogEvent:
    """A record of the event log."""

    record: int
    time: datetime | None
    """UTC, by our clock; None: the BMC did not know the time."""
    sensor: str
    """Name of the sensor, or what stands for it; empty: none."""
    type: str
    """Kind of the sensor, for instance "Power Supply"."""
    text: str
    """What happened."""
    health: Health
    asserted: bool
    """False: what the text says ended."""


@dataclass(frozen=True)
class LogCursor:
    """Where to go on reading a log."""

    record: int
    erased: int
    """When the log was last erased, on the BMC's clock: another value means another log."""


@dataclass(frozen=True)
class LogPage:
    """Some records, the oldest first."""

    events: tuple[LogEvent, ...]
    following: LogCursor | None
    """None: these were the last."""
    total: int
    """Records in the log."""
    clock_offset_seconds: float | None
    """How far the BMC's clock is ahead of ours; times are corrected by it. None: it is not set."""
