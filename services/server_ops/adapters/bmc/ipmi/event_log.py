"""Records of the System Event Log, IPMI 2.0 section 32."""

import struct
from dataclasses import dataclass

_SYSTEM_EVENT = 0x02
"""Record type, table 32-1. Others have no sensor."""

_SENSOR_SPECIFIC = 0x6F
"""Event/reading type of events whose offsets are those of table 42-3 (table 42-1); its bit 7 is 0
for an assertion, so that deassertions do not match."""

_STARTS = {
    0x0F: frozenset({0x2}),  # System Firmware Progress: only progress, neither error nor hang
    0x1D: frozenset(range(8)),  # System Boot / Restart Initiated: every way to start
    0x1F: frozenset(range(7)),  # OS Boot: boots completed; from 7 on, installations
}
"""Sensor type → offsets that say that the system starts, or started: table 42-3."""

_LENGTH = 18
"""Next record's id, and the 16 bytes of a record."""


@dataclass(frozen=True)
class Record:
    """A record, as far as it matters for seeing a machine start."""

    following: int
    """Id of the record after it; 0xffff when it is the last."""
    number: int
    timestamp: int
    """Seconds of the BMC's clock."""
    sensor_type: int
    """Table 42-3; 0 when the record is no system event."""
    says_start: bool


def read_record(answer: bytes) -> Record | None:
    """The record in a response to Get SEL Entry (section 31.5); None when it is too short."""
    if len(answer) < _LENGTH:
        return None
    following, number, kind, timestamp, sensor_type, event_type, offset = struct.unpack_from(
        "<HHBI3xBxBB", answer
    )
    if kind != _SYSTEM_EVENT:
        return Record(following, number, 0, 0, says_start=False)
    starts = event_type == _SENSOR_SPECIFIC and offset & 0x0F in _STARTS.get(sensor_type, ())
    return Record(following, number, timestamp, sensor_type, says_start=starts)
