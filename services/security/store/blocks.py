"""Port-25 blocks and unblockings in the database."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, delete, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from services.runtime.database import Database, insert_into, utc
from services.security.antispam.block import (
    Block,
    NotBlocked,
    RequestKnown,
    TooEarly,
    Unblocking,
    UnderWay,
    Wait,
    operation_name,
)
from services.security.antispam.states import Event, State, after
from services.security.store.tables import SpamBlockRow, UnblockingRow

_UNDER_WAY = "RUNNING"


class SqlBlocks:
    """Implements Blocks."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of(self, ips: Iterable[str]) -> Mapping[str, Block]:
        query = select(SpamBlockRow).where(col(SpamBlockRow.ip).in_([*ips]))
        return {row.ip: _block(row) for row in await self._database.fetch(query)}

    async def page(self, after: str, limit: int, *, lifted: bool) -> list[Block]:
        query = select(SpamBlockRow).where(col(SpamBlockRow.ip) > after)
        if not lifted:
            query = query.where(col(SpamBlockRow.state) != State.UNBLOCKED)
        query = query.order_by(col(SpamBlockRow.ip)).limit(limit)
        return [_block(row) for row in await self._database.fetch(query)]

    async def in_force(self) -> Mapping[str, State]:
        query = select(col(SpamBlockRow.ip), col(SpamBlockRow.state)).where(
            col(SpamBlockRow.state) != State.UNBLOCKED
        )
        return {row.ip: State(row.state) for row in await self._database.scan(query)}

    async def block(self, ip: str, reason: str, by: str, now: datetime, wait: Wait) -> Block:
        async with self._database.write() as session:
            # The row is there before it is locked: who has none to lock would make a second one.
            await session.execute(
                insert_into(session, SpamBlockRow)
                .values(
                    ip=ip,
                    state=State.UNBLOCKED,
                    reason=reason,
                    blocked_by=by,
                    block_time=now,
                    unblock_time=now,
                    times=0,
                )
                .on_conflict_do_nothing()
            )
            row = await session.get_one(SpamBlockRow, ip, with_for_update=True)
            was, row.state = row.state, _follow(row, Event.BLOCK)
            row.reason = reason
            if was == State.UNBLOCKED:
                row.blocked_by, row.block_time = by, now
                row.unblock_time = now + wait(row.times)
                row.times += 1
            return _block(row)

    async def override(self, ip: str, now: datetime, *, forget: bool) -> Block:
        async with self._database.write() as session:
            row = await _locked(session, ip)
            if row is None:
                raise NotBlocked
            if row.state != State.UNBLOCKED:
                row.state, row.lift_time = _follow(row, Event.OVERRIDE), now
            elif not (forget and row.times):
                raise NotBlocked
            if forget:
                row.times = 0
            return _block(row)

    async def begin(self, unblocking: Unblocking) -> None:
        async with self._database.write() as session:
            row = await _locked(session, unblocking.ip)
            if row is None or row.state == State.UNBLOCKED:
                raise NotBlocked
            state = _follow(row, Event.UNBLOCK)
            if utc(row.unblock_time) > unblocking.create_time:
                raise TooEarly(_block(row))
            row.state, row.operation = state, unblocking.id
            session.add(
                UnblockingRow(
                    id=unblocking.id,
                    ip=unblocking.ip,
                    hostname=unblocking.hostname,
                    account=unblocking.account,
                    caller=unblocking.caller,
                    caller_kind=unblocking.caller_kind,
                    request_id=unblocking.request_id or None,
                    state=unblocking.state,
                    failure=None,
                    create_time=unblocking.create_time,
                    update_time=unblocking.update_time,
                )
            )
            try:
                await session.flush()
            except IntegrityError:
                raise RequestKnown from None

    async def requested(self, account: str, caller: str, request_id: str) -> Unblocking | None:
        query = select(UnblockingRow).where(
            col(UnblockingRow.account) == account,
            col(UnblockingRow.caller) == caller,
            col(UnblockingRow.request_id) == request_id,
        )
        rows = await self._database.fetch(query)
        return _unblocking(rows[0]) if rows else None

    async def end(
        self, unblocking: UUID, now: datetime, failure: Mapping[str, str] | None
    ) -> Unblocking | None:
        async with self._database.write() as session:
            made = await session.get(UnblockingRow, unblocking, with_for_update=True)
            if made is None or made.end_time is not None:
                return None
            made.state = "FAILED" if failure else "SUCCEEDED"
            made.failure = dict(failure) if failure else None
            made.update_time = made.end_time = now
            row = await _locked(session, made.ip)
            if row is not None and row.operation == unblocking:
                row.state = _follow(row, Event.NOT_LIFTED if failure else Event.LIFTED)
                row.operation = None
                row.lift_time = row.lift_time if failure else now
            return _unblocking(made)

    async def find(self, unblocking: UUID) -> Unblocking | None:
        query = select(UnblockingRow).where(col(UnblockingRow.id) == unblocking)
        rows = await self._database.fetch(query)
        return _unblocking(rows[0]) if rows else None

    async def under_way(self) -> list[Unblocking]:
        query = select(UnblockingRow).where(col(UnblockingRow.state) == _UNDER_WAY)
        rows = await self._database.fetch(query.order_by(col(UnblockingRow.create_time)))
        return [_unblocking(row) for row in rows]

    async def tidy(self, before: datetime) -> None:
        async with self._database.write() as session:
            await session.execute(delete(UnblockingRow).where(col(UnblockingRow.end_time) < before))


async def _locked(session: AsyncSession, ip: str) -> SpamBlockRow | None:
    return await session.get(SpamBlockRow, ip, with_for_update=True)


def _follow(row: SpamBlockRow, event: Event) -> State:
    """The state after the event. Raises UnderWay: while it is being unblocked nothing else is."""
    try:
        return after(State(row.state), event)
    except LookupError:
        assert row.operation is not None  # noqa: S101 - no other state refuses an event
        raise UnderWay(operation_name(row.operation)) from None


def _block(row: SpamBlockRow | Row[*tuple[Any, ...]]) -> Block:
    return Block(
        ip=row.ip,
        state=State(row.state),
        reason=row.reason,
        blocked_by=row.blocked_by,
        block_time=utc(row.block_time),
        unblock_time=utc(row.unblock_time),
        times=row.times,
        lift_time=utc(row.lift_time) if row.lift_time else None,
        operation=row.operation,
    )


def _unblocking(row: UnblockingRow | Row[*tuple[Any, ...]]) -> Unblocking:
    return Unblocking(
        id=row.id,
        ip=row.ip,
        hostname=row.hostname,
        account=row.account,
        caller=row.caller,
        caller_kind=row.caller_kind,
        request_id=row.request_id or "",
        state=row.state,
        create_time=utc(row.create_time),
        update_time=utc(row.update_time),
        end_time=utc(row.end_time) if row.end_time else None,
        failure=row.failure,
    )
