"""Whether the audit trail is as it was written."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import Protocol

from f2h.auth.v1.audit_pb2 import AuditCheckpoint, AuditRecord
from google.protobuf.message import DecodeError

from services.auth.audit.chain import NOTHING, Entry, Head, link

BATCH = 1000
"""How many entries are held at once."""


class Unreadable(Exception):  # noqa: N818 - it says what was found
    """The database answers, and what it holds of this entry cannot be read."""

    def __init__(self, sequence: int) -> None:
        super().__init__(sequence)
        self.sequence = sequence


class Entries(Protocol):
    """The entries of the trail, as they are kept."""

    async def entries(self, after: int | None, limit: int) -> Sequence[Entry]:
        """At most so many entries by their sequence, from the first one greater than `after` on.

        Raises Unreadable when that one cannot be read; ends before a later one that cannot.
        """
        ...

    async def head(self) -> Head | None:
        """What is kept of the newest entry; None: nothing is."""
        ...


@dataclass(frozen=True)
class Whole:
    """Nothing was changed, removed or reordered."""

    records: int
    hash: bytes

    def __str__(self) -> str:
        return f"{self.records} records, chain whole, head {self.hash.hex()}"


@dataclass(frozen=True)
class Broken:
    """The first record that is not as it was written, and why."""

    record: int
    what: str

    def __str__(self) -> str:
        return f"record {self.record}: {self.what}"


async def verify(kept: Entries, checkpoint: AuditCheckpoint | None = None) -> Whole | Broken:
    """Reads the whole trail, in order, while others may add to it.

    Without a checkpoint that was kept elsewhere, a trail that was written anew as a whole, or cut
    together with its head, looks whole.
    """
    chain = _Chain(checkpoint)
    after: int | None = None
    while True:
        # Before the entries: whatever the head names is there when they are read.
        head = await kept.head()
        try:
            entries = await kept.entries(after, BATCH)
        except Unreadable as found:
            return Broken(found.sequence, "it cannot be read")
        if not entries:
            return chain.end(head)
        for entry in entries:
            what = chain.add(entry)
            if what is not None:
                return what
        after = entries[-1].sequence


class _Chain:
    """What is known after each entry that was read."""

    def __init__(self, checkpoint: AuditCheckpoint | None) -> None:
        self._checkpoint = checkpoint
        self._sequence = 0
        self._hash = NOTHING
        self._pending: dict[int, AuditRecord] = {}
        """Attempts whose outcome did not come yet. Few: those under way, and those of a crash."""

    def add(self, entry: Entry) -> Broken | None:
        """Takes the next entry; answers what is wrong with it."""
        expected = self._sequence + 1
        if entry.sequence > expected:
            return Broken(expected, "it is missing")
        if entry.sequence < expected:
            return Broken(entry.sequence, "it stands before the first record")
        what = self._wrong(entry)
        return Broken(entry.sequence, what) if what else None

    def end(self, head: Head | None) -> Whole | Broken:
        """After the last entry."""
        if head is None:
            return Broken(self._sequence, "the head, which names the newest record, is missing")
        if self._checkpoint is not None and self._checkpoint.sequence > self._sequence:
            return Broken(self._sequence + 1, "it is missing; the checkpoint is of a later one")
        if head.sequence > self._sequence:
            return Broken(self._sequence + 1, "it is missing; the head is a later one")
        if head.sequence < self._sequence:
            return Broken(head.sequence + 1, "it is newer than the head")
        if head.hash != self._hash:
            return Broken(self._sequence, "the head has another hash of it")
        return Whole(self._sequence, self._hash)

    def _wrong(self, entry: Entry) -> str:
        if entry.attempt is not None and not isinstance(entry.attempt, int):
            return "the attempt that it is of is no number"
        expected = link(self._hash, entry.sequence, entry.attempt, entry.content)
        if entry.hash != expected:
            return "its hash is not that of its content and the record before"
        if _differs(entry, self._checkpoint):
            return "the checkpoint has another hash of it: it or one before was written anew"
        try:
            record = AuditRecord.FromString(entry.content)
            what = _repeated(entry, record) or self._kind(entry, record)
        except (DecodeError, ValueError, OverflowError):  # the latter two: no time that there is
            return "its content is no record"
        self._sequence, self._hash = entry.sequence, entry.hash
        return what

    def _kind(self, entry: Entry, record: AuditRecord) -> str:
        """What is wrong with an attempt as an attempt, or an outcome as an outcome."""
        known = record.outcome != AuditRecord.OUTCOME_UNSPECIFIED
        if entry.attempt is None:
            if not known:
                self._pending[entry.sequence] = record
            return ""
        attempt = self._pending.pop(entry.attempt, None)
        if attempt is None:
            return f"it is the outcome of record {entry.attempt}, which waits for none"
        if not known:
            return "it is an outcome and says none"
        if _who(attempt) != _who(record):
            return f"it is the outcome of record {entry.attempt}, and of somebody else"
        pairs = ((attempt.resource, record.resource), (attempt.account, record.account))
        if any(before not in {"", after} for before, after in pairs):
            return f"it is the outcome of record {entry.attempt}, on something else"
        return ""


def _differs(entry: Entry, checkpoint: AuditCheckpoint | None) -> bool:
    if checkpoint is None or checkpoint.sequence != entry.sequence:
        return False
    return entry.hash.hex() != checkpoint.hash


def _who(record: AuditRecord) -> tuple[object, ...]:
    return record.audience, record.subject, record.method


def _repeated(entry: Entry, record: AuditRecord) -> str:
    """Which column is not what the content says."""
    columns = {
        "sequence": (entry.sequence, record.sequence),
        "time": (entry.time, record.time.ToDatetime(UTC)),
        "account": (entry.account, record.account),
        "subject": (entry.subject, record.subject),
        "method": (entry.method, record.method),
        "resource": (entry.resource, record.resource),
        "outcome": (entry.outcome, record.outcome),
    }
    wrong = [name for name, (column, content) in columns.items() if column != content]
    return f"the column {wrong[0]} is not what its content says" if wrong else ""
