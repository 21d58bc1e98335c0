"""Records of a Redfish log: LogEntry of DSP0268."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from services.server_ops.bmc.event import LogEvent
from services.server_ops.bmc.sensor import Health

_HEALTH = {"OK": Health.OK, "Warning": Health.WARNING, "Critical": Health.CRITICAL}

_ENDED = ("Deassert", "De-assert")
"""How EntryCode says that what a record tells of ended."""


@dataclass(frozen=True)
class Record:
    """A record that is not numbered yet."""

    time: datetime | None
    sensor: str
    type: str
    text: str
    health: Health
    asserted: bool

    @property
    def whole(self) -> int:
        """Its time in seconds since the Unix epoch; 0 when it has none."""
        return int(self.time.timestamp()) if self.time else 0

    def event(self, number: int) -> LogEvent:
        """As the record of this number."""
        return LogEvent(
            number, self.time, self.sensor, self.type, self.text, self.health, self.asserted
        )


def read_record(entry: dict[str, Any]) -> Record:
    """A record as it is written in a log."""

    def said(*names: str) -> str:
        values = (entry.get(name) for name in names)
        return next((value for value in values if isinstance(value, str) and value), "")

    return Record(
        time=read_time(entry.get("Created")),
        sensor=said("Name"),
        type=said("SensorType", "EntryType"),
        text=said("Message", "MessageId"),
        health=_HEALTH.get(said("Severity"), Health.UNKNOWN),
        asserted=not said("EntryCode").startswith(_ENDED),
    )


def read_time(text: object) -> datetime | None:
    """A time of Redfish (ISO 8601 with its zone) in UTC; None when it is none."""
    try:
        time = datetime.fromisoformat(text) if isinstance(text, str) else None
        return time.astimezone(UTC) if time and time.tzinfo else None
    except (ValueError, OverflowError):
        return None
