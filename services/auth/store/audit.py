"""The audit trail in the database."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from f2h.auth.v1.audit_pb2 import AuditCheckpoint, AuditRecord
from sqlalchemy import (
    ColumnElement,
    Row,
    Select,
    and_,
    case,
    func,
    insert,
    or_,
    select,
    type_coerce,
    update,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased
from sqlalchemy.types import NullType
from sqlmodel import col

from services.auth.audit.chain import Entry, Head, link
from services.auth.audit.trail import Filter, concluded, merged
from services.auth.audit.verify import Unreadable
from services.auth.store.tables import AuditHeadRow, AuditRow
from services.runtime.clock import Clock
from services.runtime.database import Database, utc

BATCH = 200
"""How many records share one transaction at most."""

_Query = Select[*tuple[Any, ...]]

_HEAD = select(col(AuditHeadRow.sequence), col(AuditHeadRow.hash)).where(col(AuditHeadRow.id) == 1)

_Outcome = aliased(AuditRow)
_OUTCOME_OF = col(_Outcome.attempt) == col(AuditRow.sequence)
_KNOWN_ATTEMPT: _Query = (
    select(col(AuditRow.sequence), col(AuditRow.content), col(_Outcome.sequence).label("outcome"))
    .outerjoin(_Outcome, _OUTCOME_OF)
    .where(col(AuditRow.attempt).is_(None), col(AuditRow.outcome) == 0)
)

_AS_KEPT: _Query = select(
    col(AuditRow.sequence),
    col(AuditRow.attempt),
    # As the driver gives it: what SQLite keeps as text would be read as a time in many forms.
    type_coerce(col(AuditRow.time), NullType()).label("time"),
    col(AuditRow.account),
    col(AuditRow.subject),
    col(AuditRow.method),
    col(AuditRow.resource),
    col(AuditRow.outcome),
    col(AuditRow.content),
    col(AuditRow.hash),
)


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A record that is to be kept, and who waits for its sequence."""

    record: AuditRecord
    attempt: int | None
    kept: asyncio.Future[int]


class SqlTrail:
    """Implements Trail, Records and Entries.

    Every commit reaches the disk, and the head lets one writer in at a time. So what comes while a
    transaction is written waits, and shares the next one.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._waiting: list[_Waiting] = []
        self._writing: asyncio.Task[None] | None = None

    async def append(self, record: AuditRecord, attempt: int | None = None) -> int:
        waiting = _Waiting(record, attempt, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        if self._writing is None:
            self._writing = asyncio.create_task(self._write())
        return await waiting.kept

    async def page(self, wanted: Filter, before: int | None, limit: int) -> list[AuditRecord]:
        query: _Query = (
            select(col(AuditRow.content).label("attempt"), col(_Outcome.content).label("outcome"))
            .outerjoin(_Outcome, _OUTCOME_OF)
            .where(col(AuditRow.attempt).is_(None), *_conditions(wanted))
            .order_by(col(AuditRow.sequence).desc())
            .limit(limit)
        )
        if before is not None:
            query = query.where(col(AuditRow.sequence) < before)
        # A filter that little fits reads all of an account's records.
        return [_merged(row) for row in await self._database.scan(query)]

    async def checkpoint(self) -> AuditCheckpoint:
        head = (await self._database.fetch(_HEAD))[0]
        checkpoint = AuditCheckpoint(sequence=head.sequence, hash=bytes(head.hash).hex())
        checkpoint.time.FromDatetime(self._clock())
        return checkpoint

    async def entries(self, after: int | None, limit: int) -> Sequence[Entry]:
        query = _after(_AS_KEPT, after, limit)
        try:
            return [_entry(row) for row in await self._database.fetch(query)]
        except Exception:  # noqa: BLE001 - of the driver, of SQLAlchemy, of what is kept
            return await self._readable(after, limit)

    async def head(self) -> Head | None:
        try:
            row = (await self._database.fetch(_HEAD))[0]
            return Head(int(row.sequence), bytes(row.hash))
        except (IndexError, TypeError, ValueError):
            return None

    async def _readable(self, after: int | None, limit: int) -> Sequence[Entry]:
        """What can be read before an entry that cannot. Raises Unreadable when it is the first."""
        # When it is the database that does not answer, this raises what it says.
        numbers = await self._database.fetch(_after(select(col(AuditRow.sequence)), after, limit))
        found: list[Entry] = []
        for (number,) in numbers:
            query = _AS_KEPT.where(col(AuditRow.sequence) == number)
            try:
                found += [_entry(row) for row in await self._database.fetch(query)]
            except Exception:  # noqa: BLE001 - see above
                if not found:
                    raise Unreadable(number) from None
                break
        return found

    async def _write(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:BATCH], self._waiting[BATCH:]
                await self._keep(batch)
        finally:
            self._writing = None

    async def _keep(self, batch: Sequence[_Waiting]) -> None:
        """Keeps all of a batch, and lets those who wait know. Raises nothing."""
        answers: Sequence[int | Exception]
        try:
            async with self._database.write() as session:
                answers = await _append(session, batch, self._clock())
        except Exception as error:  # noqa: BLE001 - told to everybody who waits
            answers = [error] * len(batch)
        for waiting, answer in zip(batch, answers, strict=True):
            if waiting.kept.done():  # it was cancelled
                continue
            if isinstance(answer, Exception):
                waiting.kept.set_exception(answer)
            else:
                waiting.kept.set_result(answer)


async def _append(
    session: AsyncSession, batch: Sequence[_Waiting], now: datetime
) -> list[int | Exception]:
    """Adds what can be added to the chain; answers the sequence, or the refusal, of each."""
    # Whoever has the head's row is the only one who writes, until the transaction ends.
    head = (await session.execute(_HEAD.with_for_update())).one()
    sequence, newest = int(head.sequence), bytes(head.hash)
    known = await _attempts(session, {each.attempt for each in batch if each.attempt is not None})
    concluded_now: set[int] = set()
    rows: list[dict[str, Any]] = []
    answers: list[int | Exception] = []
    for each in batch:
        try:
            record = each.record
            if each.attempt is not None:
                attempt, again = known.get(each.attempt, (None, False))
                again = again or each.attempt in concluded_now
                record = concluded(attempt, record, again=again)
                concluded_now.add(each.attempt)
        except Exception as refused:  # noqa: BLE001 - told to the one who waits for it
            answers.append(refused)
            continue
        sequence += 1
        row = _row(record, sequence, each.attempt, now)
        newest = row["hash"] = link(newest, sequence, each.attempt, row["content"])
        rows.append(row)
        answers.append(sequence)
    if rows:
        await session.execute(insert(AuditRow), rows)
        await session.execute(update(AuditHeadRow).values(sequence=sequence, hash=newest))
    return answers


async def _attempts(
    session: AsyncSession, sequences: Iterable[int]
) -> dict[int, tuple[AuditRecord, bool]]:
    """Attempts by their sequence, each with whether its outcome is there."""
    wanted = [*sequences]
    if not wanted:
        return {}
    rows = await session.execute(_KNOWN_ATTEMPT.where(col(AuditRow.sequence).in_(wanted)))
    return {
        row.sequence: (AuditRecord.FromString(row.content), row.outcome is not None) for row in rows
    }


def _row(given: AuditRecord, sequence: int, attempt: int | None, now: datetime) -> dict[str, Any]:
    """The row of a record, without its hash."""
    record = AuditRecord()
    record.CopyFrom(given)
    for field, value in given.ListFields():
        if isinstance(value, str):  # PostgreSQL keeps no text with a zero byte
            setattr(record, field.name, value.replace("\0", "\N{REPLACEMENT CHARACTER}"))
    record.sequence = sequence
    record.time.FromDatetime(now)
    return {
        "sequence": sequence,
        "attempt": attempt,
        "time": now,
        "account": record.account,
        "subject": record.subject,
        "method": record.method,
        "resource": record.resource,
        "outcome": record.outcome,
        "content": record.SerializeToString(deterministic=True),
    }


def _conditions(wanted: Filter) -> list[ColumnElement[bool]]:
    """What an attempt, together with its outcome, must be."""
    # The NOC names a key or a user; whose that is stands in the outcome.
    conditions: list[ColumnElement[bool]] = [
        col(AuditRow.account).in_({wanted.account, ""}),
        func.coalesce(col(_Outcome.account), col(AuditRow.account)) == wanted.account,
    ]
    if wanted.subject:
        conditions.append(col(AuditRow.subject) == wanted.subject)
    if wanted.resource:
        made = and_(col(AuditRow.resource) == "", col(_Outcome.resource) == wanted.resource)
        conditions.append(or_(col(AuditRow.resource) == wanted.resource, made))
    if wanted.method:
        path, last = col(AuditRow.method), f"/{wanted.method}"
        # Not LIKE, for which SQLite takes an upper case letter for its lower case one.
        end = func.substr(path, func.length(path) - len(last) + 1)
        conditions.append(or_(path == wanted.method, end == last))
    if wanted.outcome != AuditRecord.OUTCOME_UNSPECIFIED:
        outcome = case(
            (col(_Outcome.outcome).is_not(None), col(_Outcome.outcome)),
            else_=col(AuditRow.outcome),
        )
        conditions.append(outcome == wanted.outcome)
    if wanted.start is not None:
        conditions.append(col(AuditRow.time) >= wanted.start)
    if wanted.end is not None:
        conditions.append(col(AuditRow.time) < wanted.end)
    return conditions


def _merged(row: Row[*tuple[Any, ...]]) -> AuditRecord:
    attempt = AuditRecord.FromString(row.attempt)
    outcome = None if row.outcome is None else AuditRecord.FromString(row.outcome)
    return merged(attempt, outcome)


def _after(query: _Query, after: int | None, limit: int) -> _Query:
    if after is not None:
        query = query.where(col(AuditRow.sequence) > after)
    return query.order_by(col(AuditRow.sequence)).limit(limit)


def _entry(row: Row[*tuple[Any, ...]]) -> Entry:
    return Entry(
        sequence=row.sequence,
        attempt=row.attempt,
        time=_time(row.time),
        account=row.account,
        subject=row.subject,
        method=row.method,
        resource=row.resource,
        outcome=row.outcome,
        content=bytes(row.content),
        hash=bytes(row.hash),
    )


def _time(kept: object) -> datetime | None:
    """The time that a driver gives; None for what this trail did not write."""
    if isinstance(kept, datetime):
        return utc(kept)
    try:
        time = datetime.fromisoformat(str(kept))
    except ValueError:
        return None
    # SQLite keeps a text, for which there is one form only.
    return utc(time) if time.isoformat(" ", "microseconds") == kept else None
