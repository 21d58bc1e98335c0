import json
from datetime import UTC, datetime

import pytest
from f2h.auth.v1.audit_pb2 import AuditCheckpoint

from services.auth.audit.checkpoint import checkpoint_line, parse_checkpoint


@pytest.mark.parametrize("sequence", [0, 1, 2**63 - 1])
def test_a_checkpoint_that_was_printed_is_read_again(sequence: int) -> None:
    checkpoint = AuditCheckpoint(sequence=sequence, hash="0f" * 32)
    checkpoint.time.FromDatetime(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))
    line = checkpoint_line(checkpoint)
    assert "\n" not in line
    assert set(json.loads(line)) == {"sequence", "hash", "time"}
    assert parse_checkpoint(line + "\n") == checkpoint


@pytest.mark.parametrize(
    "text",
    [
        "",
        "7",
        "{}",
        "no JSON",
        '{"sequence": "1"}',
        '{"sequence": "1", "hash": "00"}',
        '{"sequence": "-1", "hash": "' + "0" * 64 + '"}',
        '{"sequence": "1", "hash": "' + "0" * 64 + '", "more": 1}',
    ],
)
def test_what_is_no_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a checkpoint"):
        parse_checkpoint(text)
