import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.server_ops.adapters.bmc.ipmi.event_log import read_record

SENSOR_SPECIFIC, DEASSERTED = 0x6F, 0xEF


def _record(sensor_type: int, event_type: int, offset: int, kind: int = 0x02) -> bytes:
    """A Get SEL Entry response: IPMI 2.0 sections 31.5 and 32.1."""
    return struct.pack(
        "<HHBIHBBBBBBB", 8, 7, kind, 1234, 0x0001, 4, sensor_type, 1, event_type, offset, 0xFF, 0xFF
    )


@pytest.mark.parametrize(
    ("sensor_type", "offset"), [(0x1D, 0), (0x1D, 1), (0x1D, 7), (0x1F, 1), (0x0F, 2), (0x1D, 0xC1)]
)
def test_a_start_is_recognized(sensor_type: int, offset: int) -> None:
    record = read_record(_record(sensor_type, SENSOR_SPECIFIC, offset))
    assert record is not None
    assert record.says_start
    assert (record.following, record.number, record.timestamp) == (8, 7, 1234)


@pytest.mark.parametrize(
    ("sensor_type", "event_type", "offset", "kind"),
    [
        (0x1D, DEASSERTED, 1, 0x02),
        (0x1D, 0x01, 1, 0x02),  # a threshold's event
        (0x1D, SENSOR_SPECIFIC, 1, 0xC0),  # a vendor's record: these bytes mean something else
        (0x0F, SENSOR_SPECIFIC, 0, 0x02),  # firmware error
        (0x0F, SENSOR_SPECIFIC, 1, 0x02),  # firmware hang
        (0x1F, SENSOR_SPECIFIC, 8, 0x02),  # an installation was completed
        (0x01, SENSOR_SPECIFIC, 1, 0x02),  # temperature
    ],
)
def test_what_is_no_start_is_not_taken_for_one(
    sensor_type: int, event_type: int, offset: int, kind: int
) -> None:
    record = read_record(_record(sensor_type, event_type, offset, kind))
    assert record is not None
    assert not record.says_start


@given(st.binary(max_size=40))
def test_nonsense_is_read_without_an_error_and_short_records_are_none(answer: bytes) -> None:
    assert (read_record(answer) is None) == (len(answer) < 18)
