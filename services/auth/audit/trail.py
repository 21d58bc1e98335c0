"""The audit trail as the rest of auth sees it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from f2h.access.v1.reason_pb2 import Reason
from f2h.auth.v1.audit_pb2 import AuditCheckpoint, AuditRecord

from services.runtime.errors import ApiError


class Trail(Protocol):
    """Where audit records are kept, in one order, for ever."""

    async def append(self, record: AuditRecord, attempt: int | None = None) -> int:
        """Keeps a record and answers its sequence; its `sequence` and `time` are set by the trail.

        With `attempt` it says what came of that record, see `concluded`. Raises when it could not
        be kept: then what it is about must not be done.
        """
        ...


@dataclass(frozen=True)
class Filter:
    """Which records to list. What is None or empty does not matter, but for the account."""

    account: str
    """Empty: what belongs to no account."""
    subject: str = ""
    resource: str = ""
    method: str = ""
    """The whole path, or its last part."""
    outcome: int = AuditRecord.OUTCOME_UNSPECIFIED
    start: datetime | None = None
    """From this time on."""
    end: datetime | None = None
    """Before this time."""


class Records(Protocol):
    """What was recorded, to be read."""

    async def page(self, wanted: Filter, before: int | None, limit: int) -> list[AuditRecord]:
        """The newest records with a sequence less than `before`, each with what came of it."""
        ...

    async def checkpoint(self) -> AuditCheckpoint:
        """The state of the chain as it is now."""
        ...


def concluded(attempt: AuditRecord | None, said: AuditRecord, *, again: bool) -> AuditRecord:
    """The record of an outcome: it repeats the attempt that it is of.

    `said` holds who says so (subject and audience), the outcome, its reason, its operation, and
    what was made and whose it is, where the attempt could not name it. `attempt` is None when there
    is none.

    Raises ApiError(NOT_FOUND) when it was somebody else's attempt or none at all, which look the
    same, and ApiError(ALREADY_EXISTS) when it was said before.
    """
    if attempt is None or (attempt.subject, attempt.audience) != (said.subject, said.audience):
        raise ApiError(Reason.NOT_FOUND, "This caller made no such attempt.")
    if again:
        raise ApiError(Reason.ALREADY_EXISTS, "What came of this attempt was recorded before.")
    record = AuditRecord()
    record.CopyFrom(attempt)
    record.outcome = said.outcome
    record.reason = said.reason
    record.operation = said.operation
    record.resource = attempt.resource or said.resource
    record.account = attempt.account or said.account
    return record


def merged(attempt: AuditRecord, outcome: AuditRecord | None) -> AuditRecord:
    """What a reader sees of an attempt and of what came of it."""
    record = AuditRecord()
    record.CopyFrom(attempt)
    if outcome is not None:
        record.outcome = outcome.outcome
        record.reason = outcome.reason
        record.operation = outcome.operation
        record.resource = outcome.resource
        record.account = outcome.account
    return record
