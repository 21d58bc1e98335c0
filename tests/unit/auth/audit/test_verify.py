import dataclasses
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from f2h.access.v1.rule_pb2 import AccessRule
from f2h.auth.v1.audit_pb2 import AuditCheckpoint, AuditRecord
from hypothesis import given
from hypothesis import strategies as st

from services.auth.audit import verify as verify_module
from services.auth.audit.chain import NOTHING, Entry, Head, link
from services.auth.audit.verify import Broken, Unreadable, Whole, verify

NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
REBOOT = "/f2h.server_ops.v1.RebootService/RebootServer"


class Kept:
    """A trail in memory."""

    def __init__(self) -> None:
        self.rows: list[Entry] = []
        self.newest: Head | None = Head(0, NOTHING)
        self.unreadable: set[int] = set()

    async def entries(self, after: int | None, limit: int) -> Sequence[Entry]:
        rows = sorted(self.rows, key=lambda row: row.sequence)
        later = [row for row in rows if after is None or row.sequence > after][:limit]
        bad = [number for number, row in enumerate(later) if row.sequence in self.unreadable]
        if bad and bad[0] == 0:
            raise Unreadable(later[0].sequence)
        return later[: bad[0]] if bad else later

    async def head(self) -> Head | None:
        return self.newest

    def add(self, attempt: int | None = None, **changes: Any) -> int:
        """Adds a record as it is to be added."""
        assert self.newest is not None
        sequence = self.newest.sequence + 1
        fields = {
            "account": "demo",
            "audience": AccessRule.CUSTOMER,
            "subject": "e" * 16,
            "method": REBOOT,
            "resource": "ns1.example.net",
            **changes,
        }
        record = AuditRecord(sequence=sequence, **fields)
        time = NOW + timedelta(seconds=sequence)
        record.time.FromDatetime(time)
        self.put(record, attempt)
        return sequence

    def put(self, record: AuditRecord, attempt: int | None = None) -> None:
        """Adds whatever it is, with the hash that it has to have."""
        assert self.newest is not None
        content = record.SerializeToString(deterministic=True)
        sequence = self.newest.sequence + 1
        self.newest = Head(sequence, link(self.newest.hash, sequence, attempt, content))
        self.rows.append(
            Entry(
                sequence=sequence,
                attempt=attempt,
                time=record.time.ToDatetime(UTC),
                account=record.account,
                subject=record.subject,
                method=record.method,
                resource=record.resource,
                outcome=record.outcome,
                content=content,
                hash=self.newest.hash,
            )
        )

    def checkpoint(self) -> AuditCheckpoint:
        assert self.newest is not None
        return AuditCheckpoint(sequence=self.newest.sequence, hash=self.newest.hash.hex())


def filled() -> Kept:
    """Attempts, outcomes, and records that are both; one attempt without an end."""
    kept = Kept()
    first = kept.add()
    second = kept.add(resource="")
    kept.add(first, outcome=AuditRecord.ACCEPTED, operation="operations/1")
    kept.add(outcome=AuditRecord.REFUSED, reason="CREDENTIAL_INVALID")
    kept.add(second, resource="made", outcome=AuditRecord.ACCEPTED)
    kept.add(account="other")
    kept.add(outcome=AuditRecord.FAILED, reason="INTERNAL")
    return kept


async def broken(kept: Kept, checkpoint: AuditCheckpoint | None = None) -> Broken:
    found = await verify(kept, checkpoint)
    assert isinstance(found, Broken)
    return found


async def test_a_trail_that_nobody_touched_is_whole() -> None:
    kept = filled()
    found = await verify(kept, kept.checkpoint())
    assert kept.newest is not None
    assert found == Whole(7, kept.newest.hash)
    assert str(found) == f"7 records, chain whole, head {kept.newest.hash.hex()}"


async def test_an_empty_trail_is_whole() -> None:
    kept = Kept()
    assert await verify(kept, kept.checkpoint()) == Whole(0, NOTHING)


async def test_a_trail_is_read_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify_module, "BATCH", 2)
    kept = filled()
    assert isinstance(await verify(kept), Whole)
    kept.rows[4] = replace(kept.rows[4], account="x")
    assert (await broken(kept)).record == 5


async def test_what_is_added_meanwhile_is_no_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify_module, "BATCH", 2)
    kept = filled()
    more = iter(range(3))

    class Growing(Kept):
        async def head(self) -> Head | None:
            head = kept.newest
            if next(more, None) is not None:
                kept.add()
            return head

        async def entries(self, after: int | None, limit: int) -> Sequence[Entry]:
            return await kept.entries(after, limit)

    assert kept.newest is not None
    assert await verify(Growing()) == Whole(10, kept.newest.hash)


# --- Changed, removed, reordered


@given(data=st.data())
async def test_any_changed_column_is_found_and_its_record_named(data: st.DataObject) -> None:
    kept = filled()
    number = data.draw(st.integers(0, len(kept.rows) - 1))
    row = kept.rows[number]
    name = data.draw(st.sampled_from([field.name for field in dataclasses.fields(Entry)][1:]))
    old = getattr(row, name)
    new: Any
    if isinstance(old, bytes):
        at = data.draw(st.integers(0, len(old) - 1))
        flipped = old[at] ^ data.draw(st.integers(1, 255))
        new = old[:at] + bytes([flipped]) + old[at + 1 :]
    elif isinstance(old, str):
        new = data.draw(st.text().filter(lambda text: text != old))
    elif isinstance(old, datetime):
        new = old + timedelta(microseconds=data.draw(st.integers(1, 10**12)))
    else:
        whole = st.integers(-(2**63), 2**63 - 1)
        new = data.draw((whole | st.none() | st.text()).filter(lambda value: value != old))
    kept.rows[number] = replace(row, **{name: new})
    assert (await broken(kept)).record == row.sequence


@pytest.mark.parametrize("number", range(7))
async def test_a_removed_record_is_named(number: int) -> None:
    kept = filled()
    del kept.rows[number]
    found = await broken(kept)
    assert found.record == number + 1
    assert "missing" in found.what


@pytest.mark.parametrize("first", range(7))
@pytest.mark.parametrize("second", range(7))
async def test_two_records_that_changed_places_are_found(first: int, second: int) -> None:
    if first >= second:
        return
    kept = filled()
    one, other = kept.rows[first], kept.rows[second]
    kept.rows[first] = replace(other, sequence=one.sequence)
    kept.rows[second] = replace(one, sequence=other.sequence)
    assert (await broken(kept)).record == first + 1


@pytest.mark.parametrize("sequence", [0, -1, -(2**63)])
async def test_a_record_before_the_first_is_found(sequence: int) -> None:
    kept = filled()
    kept.rows.append(replace(kept.rows[3], sequence=sequence))
    assert (await broken(kept)).record == sequence


async def test_a_record_that_cannot_be_read_is_named_after_those_before_it() -> None:
    kept = filled()
    kept.unreadable = {4}
    assert str(await broken(kept)) == "record 4: it cannot be read"
    kept.rows[1] = replace(kept.rows[1], subject="x")
    assert (await broken(kept)).record == 2


# --- The head and the checkpoint


async def test_a_tail_that_is_cut_is_found_by_the_head() -> None:
    kept = filled()
    del kept.rows[4:]
    assert (await broken(kept)).record == 5


async def test_a_tail_that_is_cut_together_with_the_head_is_found_by_the_checkpoint() -> None:
    kept = filled()
    checkpoint = kept.checkpoint()
    del kept.rows[4:]
    kept.newest = Head(4, kept.rows[-1].hash)
    assert isinstance(await verify(kept), Whole)
    assert (await broken(kept, checkpoint)).record == 5


async def test_a_trail_that_is_written_anew_is_found_by_the_checkpoint() -> None:
    checkpoint = filled().checkpoint()
    anew = Kept()
    for _ in range(9):
        anew.add(account="innocent")
    assert isinstance(await verify(anew), Whole)
    assert (await broken(anew, checkpoint)).record == checkpoint.sequence


async def test_a_checkpoint_of_earlier_holds_for_a_trail_that_grew() -> None:
    kept = filled()
    checkpoint = kept.checkpoint()
    kept.add()
    assert isinstance(await verify(kept, checkpoint), Whole)


@pytest.mark.parametrize(
    ("head", "record"), [(None, 7), (Head(7, NOTHING), 7), (Head(9, NOTHING), 8), (Head(3, b""), 4)]
)
async def test_a_head_that_is_not_the_newest_record_is_found(
    head: Head | None, record: int
) -> None:
    kept = filled()
    kept.newest = head
    assert (await broken(kept)).record == record


# --- Records that were never to be written, in a chain that is whole


@pytest.mark.parametrize(
    ("attempt", "changes"),
    [
        (1, {"outcome": AuditRecord.ACCEPTED}),  # the second one
        (3, {"outcome": AuditRecord.ACCEPTED}),  # of an outcome
        (4, {"outcome": AuditRecord.ACCEPTED}),  # of what was both
        (8, {"outcome": AuditRecord.ACCEPTED}),  # of itself
        (99, {"outcome": AuditRecord.ACCEPTED}),
        (0, {"outcome": AuditRecord.ACCEPTED}),
        (6, {"account": "other"}),  # without an outcome
        (6, {"account": "other", "subject": "f" * 16, "outcome": AuditRecord.ACCEPTED}),
        (6, {"account": "other", "resource": "ns2", "outcome": AuditRecord.ACCEPTED}),
        (6, {"account": "demo", "outcome": AuditRecord.ACCEPTED}),
    ],
)
async def test_an_outcome_of_no_such_attempt_is_found(
    attempt: int, changes: dict[str, Any]
) -> None:
    kept = filled()
    kept.add(attempt, **changes)
    assert (await broken(kept)).record == 8


@pytest.mark.parametrize("content", [b"\xff", b"\x08", b"\x12\x02\x10\xff"])
async def test_a_content_that_is_no_record_is_found(content: bytes) -> None:
    kept = filled()
    assert kept.newest is not None
    digest = link(kept.newest.hash, 8, None, content)
    kept.rows.append(replace(kept.rows[0], sequence=8, content=content, hash=digest))
    kept.newest = Head(8, digest)
    assert str(await broken(kept)) == "record 8: its content is no record"


async def test_a_time_that_there_is_not_is_found() -> None:
    kept = filled()
    record = AuditRecord(sequence=8)
    record.time.seconds = 2**62
    content = record.SerializeToString(deterministic=True)
    assert kept.newest is not None
    digest = link(kept.newest.hash, 8, None, content)
    kept.rows.append(replace(kept.rows[0], sequence=8, content=content, hash=digest))
    kept.newest = Head(8, digest)
    assert (await broken(kept)).record == 8
