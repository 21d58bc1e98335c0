"""What was seen of a machine through its BMC at one moment."""

from dataclasses import dataclass
from enum import StrEnum


class PowerState(StrEnum):
    """Whether the machine has power."""

    ON = "ON"
    OFF = "OFF"
    UNKNOWN = "UNKNOWN"


@dataclass(frozen=True)
class SelMark:
    """Where the System Event Log ended at one moment."""

    last_record: int | None
    """Id of its last record; None when it was empty."""
    erased: int
    """When it was last erased, in seconds of the BMC's clock: another value means another log."""


@dataclass(frozen=True)
class RestartEvent:
    """A record of the System Event Log that says that the system was started."""

    record: int
    sensor_type: int
    """IPMI 2.0 table 42-3, for instance 0x1d: System Boot / Restart Initiated."""
    timestamp: int
    """Seconds of the BMC's clock."""


@dataclass(frozen=True)
class Observation:
    """What was seen of a machine at one moment."""

    power: PowerState
    restart_cause: int | None = None
    """Get System Restart Cause, IPMI 2.0 section 28.11; None when the BMC does not have it."""
    sel: SelMark | None = None
    """Where the event log ended; None when the BMC has none."""
    restart_events: tuple[RestartEvent, ...] = ()
    """Starts of the system that the log recorded after the mark that was given."""
