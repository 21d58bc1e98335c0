"""Which server has which address, in the database."""

from typing import Any
from uuid import UUID

from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from services.runtime.database import Database
from services.server_ops.inventory.server import AddressTaken
from services.server_ops.ips.ip import AlreadyThere, Ip, Moving, NotMovable
from services.server_ops.operations.operation import Kind, Operation
from services.server_ops.operations.states import HOLDING, State
from services.server_ops.store.tables import OperationRow, ServerIpRow, ServerRow

_IPS = select(
    col(ServerIpRow.ip),
    col(ServerIpRow.hostname),
    col(ServerRow.account),
    col(ServerIpRow.failover),
    col(ServerIpRow.move),
).join(ServerRow, col(ServerRow.hostname) == col(ServerIpRow.hostname))


class SqlIps:
    """Implements Ips."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, ip: str) -> Ip | None:
        rows = await self._database.fetch(_IPS.where(col(ServerIpRow.ip) == ip))
        return _ip(rows[0]) if rows else None

    async def failover_of(self, hostname: str) -> list[Ip]:
        of_server = col(ServerIpRow.hostname) == hostname
        query = _IPS.where(of_server, col(ServerIpRow.failover)).order_by(col(ServerIpRow.ip))
        return [_ip(row) for row in await self._database.fetch(query)]

    async def page(self, after: str, limit: int) -> list[Ip]:
        query = _IPS.where(col(ServerIpRow.ip) > after).order_by(col(ServerIpRow.ip)).limit(limit)
        return [_ip(row) for row in await self._database.scan(query)]

    async def put_failover(self, ip: str, hostname: str) -> Ip:
        async with self._database.write() as session:
            server = await session.get(ServerRow, hostname)
            if server is None:
                raise LookupError(hostname)
            row = await _locked(session, ip)
            if row is None:
                row = ServerIpRow(ip=ip, hostname=hostname, failover=True, move=None)
                session.add(row)
            elif not row.failover:
                raise AddressTaken(ip)
            await _refuse_moving(session, row)
            row.hostname, row.move = hostname, None
        return Ip(ip, hostname, server.account, failover=True)

    async def delete_failover(self, ip: str) -> bool:
        async with self._database.write() as session:
            row = await _locked(session, ip)
            if row is None or not row.failover:
                return False
            await _refuse_moving(session, row)
            await session.delete(row)
        return True


async def follow(session: AsyncSession, operation: Operation) -> None:
    """Lets an address follow the operation that moves it. Raises MoveRefused when it may not."""
    if operation.kind is not Kind.IP_MOVE:
        return
    row = await _locked(session, operation.parameters["ip"])
    if operation.state is State.PENDING:
        if row is None or not row.failover:
            raise NotMovable(operation.parameters["ip"])
        await _refuse_moving(session, row)
        # After a move of which nobody knows what became, it may be anywhere.
        if row.hostname == operation.server and row.move is None:
            raise AlreadyThere(row.ip)
        row.move = operation.id
    elif row is not None and row.move == operation.id and operation.done:
        if operation.state is State.SUCCEEDED:
            row.hostname = operation.server
        if operation.failure is None or operation.failure.reason != "OUTCOME_UNKNOWN":
            row.move = None


async def mover(session: AsyncSession, row: ServerIpRow) -> UUID | None:
    """The operation that moves an address now."""
    operation = await session.get(OperationRow, row.move) if row.move else None
    return operation.id if operation and State(operation.state) in HOLDING else None


async def _refuse_moving(session: AsyncSession, row: ServerIpRow) -> None:
    operation = await mover(session, row)
    if operation is not None:
        raise Moving(operation)


async def _locked(session: AsyncSession, ip: str) -> ServerIpRow | None:
    return await session.get(ServerIpRow, ip, with_for_update=True)


def _ip(row: Row[*tuple[Any, ...]]) -> Ip:
    return Ip(row.ip, row.hostname, row.account, row.failover, row.move)
