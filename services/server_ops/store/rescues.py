"""Rescues in the database: each change is made in the transaction of what led to it."""

from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from services.runtime.database import Database
from services.server_ops.operations.operation import Kind, Operation
from services.server_ops.operations.states import State as OperationState
from services.server_ops.rescue.rescue import Rescue, WrongRescueState, after, happened
from services.server_ops.rescue.states import Event, State
from services.server_ops.store.netboots import unplan
from services.server_ops.store.tables import RescueRow

_BOOTING = (Kind.RESCUE_ENTER, Kind.INSTALL)
_IN_VAIN = (OperationState.FAILED, OperationState.CANCELLED)


class SqlRescues:
    """Implements Rescues."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, hostname: str) -> Rescue:
        query = select(RescueRow).where(col(RescueRow.hostname) == hostname)
        rows = await self._database.fetch(query)
        return _rescue(rows[0]) if rows else Rescue()

    async def restarted(self, hostname: str) -> None:
        async with self._database.write() as session:
            row = await session.get(RescueRow, hostname)
            if row is not None:
                try:
                    row.state = happened(_rescue(row), Event.RESTARTED).state
                except WrongRescueState:
                    return  # it was not in rescue, or an operation looks after it


async def follow(session: AsyncSession, operation: Operation) -> None:
    """Lets the server's rescue follow its operation. Raises WrongRescueState.

    A boot that came to nothing leaves nothing behind that a machine could still boot.
    """
    row = await session.get(RescueRow, operation.server)
    before = _rescue(row) if row else Rescue()
    rescue = after(before, operation)
    if rescue != before and rescue.operation and rescue.entered_by:
        await session.merge(
            RescueRow(
                hostname=operation.server,
                state=rescue.state,
                before=rescue.before,
                operation=rescue.operation,
                entered_by=rescue.entered_by,
            )
        )
    if operation.kind in _BOOTING and operation.state in _IN_VAIN:
        await unplan(session, operation.server)


def _rescue(row: RescueRow | Row[*tuple[Any, ...]]) -> Rescue:
    return Rescue(State(row.state), State(row.before), row.operation, row.entered_by)
