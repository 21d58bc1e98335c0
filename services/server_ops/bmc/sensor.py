"""A sensor and its reading."""

from dataclasses import dataclass, field
from enum import StrEnum


class Health(StrEnum):
    """How bad a reading is."""

    OK = "OK"
    WARNING = "WARNING"
    CRITICAL = "CRITICAL"
    UNKNOWN = "UNKNOWN"


@dataclass(frozen=True)
class Thresholds:
    """The bounds of a sensor, in its unit; None: it has no such bound. IPMI 2.0 section 35.9."""

    lower_non_recoverable: float | None = None
    lower_critical: float | None = None
    lower_non_critical: float | None = None
    upper_non_critical: float | None = None
    upper_critical: float | None = None
    upper_non_recoverable: float | None = None


@dataclass(frozen=True)
class Sensor:
    """A sensor and its reading at one moment."""

    name: str
    type: str
    """What it measures, for instance "Temperature"."""
    value: float | None
    """In `unit`; None: it has no number, or cannot be read now."""
    unit: str
    """For instance "°C", "RPM", "V", "W"; empty: none."""
    health: Health
    states: tuple[str, ...] = ()
    """What it says beside or instead of a number, for instance "Present"."""
    thresholds: Thresholds = field(default_factory=Thresholds)
