"""Operations in the database. The constraints of their table are the locks."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, Select, delete, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from services.runtime.database import Database, utc
from services.server_ops.operations.operation import Failure, Fault, Kind, Operation, Step
from services.server_ops.operations.repository import RequestIdReused, ServerHeld
from services.server_ops.operations.states import State, StepState
from services.server_ops.store.newest import behind
from services.server_ops.store.tables import HOLDS, OperationRow

Outbox = Callable[[AsyncSession, Operation], Awaitable[None]]
"""Writes down, in the transaction of a new state, who is to be told of it."""


async def nobody(_session: AsyncSession, _operation: Operation) -> None:
    """Implements Outbox where nobody is told."""


class SqlOperations:
    """Implements Operations."""

    def __init__(
        self,
        database: Database,
        outbox: Outbox = nobody,
        changed: Callable[[UUID], None] = lambda _operation: None,
    ) -> None:
        """`changed` is told of every change that this process made."""
        self._database = database
        self._outbox = outbox
        self._changed = changed

    async def accept(self, operation: Operation) -> tuple[Operation, bool]:
        # Nearly every refusal is found by reading, without the one lock on writing. What slips
        # through at the same moment is stopped by the constraints.
        accepted = await self._accepted_before(operation)
        if accepted is not None:
            return accepted, False
        try:
            async with self._database.write() as session:
                session.add(_row(operation))
                await session.flush()
                await self._outbox(session, operation)
        except IntegrityError:
            accepted = await self._accepted_before(operation)
            if accepted is None:
                raise
            return accepted, False
        return operation, True

    async def find(self, operation: UUID) -> Operation | None:
        query = select(OperationRow).where(col(OperationRow.id) == operation)
        return await self._first(query)

    async def update(self, operation: UUID, change: Callable[[Operation], Operation]) -> Operation:
        async with self._database.write() as session:
            row = await session.get_one(OperationRow, operation, with_for_update=True)
            before = _operation(row)
            changed = change(before)
            for name, value in _columns(changed).items():
                setattr(row, name, value)
            if changed.state != before.state:
                await self._outbox(session, changed)
        self._changed(operation)
        return changed

    async def page(
        self, *, server: str, account: str, states: Sequence[State], after: str, limit: int
    ) -> list[Operation]:
        query = select(OperationRow).where(
            col(OperationRow.server) == server, col(OperationRow.account) == account
        )
        if states:
            query = query.where(col(OperationRow.state).in_(states))
        query = behind(query, col(OperationRow.create_time), col(OperationRow.id), after)
        return [_operation(row) for row in await self._database.fetch(query.limit(limit))]

    async def newest(self, *, server: str, account: str, kind: Kind) -> Operation | None:
        query = select(OperationRow).where(
            col(OperationRow.server) == server,
            col(OperationRow.account) == account,
            col(OperationRow.kind) == kind,
        )
        query = behind(query, col(OperationRow.create_time), col(OperationRow.id), "")
        return await self._first(query.limit(1))

    async def ended(self, before: datetime, limit: int) -> list[UUID]:
        """See Operations."""
        query = select(OperationRow).where(col(OperationRow.end_time) < before).limit(limit)
        return [row.id for row in await self._database.fetch(query)]

    async def delete(self, operations: list[UUID]) -> None:
        """See Operations."""
        async with self._database.write() as session:
            await session.execute(delete(OperationRow).where(col(OperationRow.id).in_(operations)))

    async def unfinished(self) -> list[Operation]:
        query = select(OperationRow).where(HOLDS)
        return [_operation(row) for row in await self._database.fetch(query)]

    async def _accepted_before(self, operation: Operation) -> Operation | None:
        """The operation of the same request. Raises RequestIdReused and ServerHeld."""
        if operation.request_id:
            same = select(OperationRow).where(
                col(OperationRow.account) == operation.account,
                col(OperationRow.key_id) == operation.caller,
                col(OperationRow.request_id) == operation.request_id,
            )
            earlier = await self._first(same)
            if earlier is not None:
                return _same_request(earlier, operation)
        holding = select(OperationRow).where(col(OperationRow.server) == operation.server, HOLDS)
        holder = await self._first(holding)
        if holder is None:
            return None
        # It may have been accepted between the two queries, as this very request.
        if operation.request_id and _request(holder) == _request(operation):
            return _same_request(holder, operation)
        raise ServerHeld(holder)

    async def _first(self, query: Select[OperationRow]) -> Operation | None:
        rows = await self._database.fetch(query)
        return _operation(rows[0]) if rows else None


def _request(operation: Operation) -> tuple[str, str, str]:
    """What a request with an id of its own is known by."""
    return operation.account, operation.caller, operation.request_id


def _same_request(earlier: Operation, operation: Operation) -> Operation:
    if earlier.request_digest() != operation.request_digest():
        raise RequestIdReused(earlier)
    return earlier


def _row(operation: Operation) -> OperationRow:
    return OperationRow(**_columns(operation))


def _columns(operation: Operation) -> dict[str, Any]:
    return {
        "id": operation.id,
        "kind": operation.kind,
        "server": operation.server,
        "account": operation.account,
        "key_id": operation.caller,
        "caller_kind": operation.caller_kind,
        "parameters": dict(operation.parameters),
        "request_id": operation.request_id or None,
        "state": operation.state,
        "steps": [_pack_step(step) for step in operation.steps],
        "failure": asdict(operation.failure) if operation.failure else None,
        "result": dict(operation.result),
        "create_time": operation.create_time,
        "update_time": operation.update_time,
        "end_time": operation.end_time,
        "sent": {str(step): time.isoformat() for step, time in operation.sent.items()},
    }


def _operation(row: OperationRow | Row[*tuple[Any, ...]]) -> Operation:
    return Operation(
        id=row.id,
        kind=Kind(row.kind),
        server=row.server,
        account=row.account,
        caller=row.key_id,
        caller_kind=row.caller_kind,
        parameters=row.parameters,
        request_id=row.request_id or "",
        steps=tuple(_unpack_step(step) for step in row.steps),
        state=State(row.state),
        create_time=utc(row.create_time),
        update_time=utc(row.update_time),
        end_time=utc(row.end_time) if row.end_time else None,
        failure=_unpack_failure(row.failure) if row.failure else None,
        result=row.result,
        sent={int(step): datetime.fromisoformat(time) for step, time in row.sent.items()},
    )


def _pack_step(step: Step) -> dict[str, Any]:
    return {
        "name": step.name,
        "state": step.state,
        "start_time": step.start_time.isoformat() if step.start_time else None,
        "end_time": step.end_time.isoformat() if step.end_time else None,
    }


def _unpack_step(step: Mapping[str, Any]) -> Step:
    return Step(
        name=step["name"],
        state=StepState(step["state"]),
        start_time=datetime.fromisoformat(step["start_time"]) if step["start_time"] else None,
        end_time=datetime.fromisoformat(step["end_time"]) if step["end_time"] else None,
    )


def _unpack_failure(failure: Mapping[str, Any]) -> Failure:
    return Failure(
        failure["reason"], failure["message"], Fault(failure["fault"]), failure["metadata"]
    )
