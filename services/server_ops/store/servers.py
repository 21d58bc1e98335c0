"""The inventory in the database."""

import json
import zlib
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, bindparam, delete, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from services.runtime.database import Database, utc
from services.runtime.sealing import Sealer
from services.server_ops.bmc.endpoint import BmcEndpoint, Protocol
from services.server_ops.bmc.observation import PowerState
from services.server_ops.inventory.server import AddressTaken, Server, ServerBusy, ServerView
from services.server_ops.monitoring.series import RAW
from services.server_ops.netboot.netboot import Netboot
from services.server_ops.store.ips import mover
from services.server_ops.store.netboots import netboot_of
from services.server_ops.store.tables import (
    HOLDS,
    BmcStatusRow,
    BootRow,
    ChunkRow,
    MonitoredRow,
    NetbootRow,
    OperationRow,
    RescueRow,
    ServerIpRow,
    ServerRow,
    UplinkRow,
)

_VIEW = (
    select(
        col(ServerRow.hostname),
        col(ServerRow.account),
        col(ServerRow.ips),
        col(ServerRow.datacenter),
        col(ServerRow.mac),
        col(ServerRow.uuid),
        col(ServerRow.uefi),
        col(ServerRow.bmc_protocol),
        col(ServerRow.bmc_address),
        col(ServerRow.bmc_port),
        col(ServerRow.create_time),
        col(OperationRow.id).label("current_operation"),
        col(NetbootRow.boot_type),
        col(NetbootRow.image),
        col(NetbootRow.kernel),
        col(NetbootRow.planned),
        col(NetbootRow.last_boot_type),
        col(NetbootRow.last_boot_time),
        col(BmcStatusRow.power),
        col(BmcStatusRow.contact_time),
    )
    .select_from(ServerRow)
    .outerjoin(OperationRow, (col(OperationRow.server) == col(ServerRow.hostname)) & HOLDS)
    .outerjoin(NetbootRow, col(NetbootRow.hostname) == col(ServerRow.hostname))
    .outerjoin(BmcStatusRow, col(BmcStatusRow.hostname) == col(ServerRow.hostname))
)

_OF_ACCOUNT = (NetbootRow, BootRow, RescueRow, ChunkRow)
"""What an account did with a server is none of the next one's business."""

_OF_SERVER = (ServerIpRow, BmcStatusRow, UplinkRow, MonitoredRow)

_FIND = _VIEW.where(col(ServerRow.hostname) == bindparam("hostname"))
"""Built once: every call of a customer needs it."""


class SqlServers:
    """Implements Servers."""

    def __init__(self, database: Database, sealer: Sealer) -> None:
        self._database = database
        self._sealer = sealer

    async def find(self, hostname: str) -> ServerView | None:
        rows = await self._database.fetch(_FIND, {"hostname": hostname})
        return _view(rows[0]) if rows else None

    async def page(
        self, *, account: str, hostnames: frozenset[str] | None, after: str, limit: int
    ) -> list[ServerView]:
        query = _VIEW.where(col(ServerRow.hostname) > after)
        if account:
            query = query.where(col(ServerRow.account) == account)
        if hostnames is not None:
            query = query.where(col(ServerRow.hostname).in_(hostnames))
        query = query.order_by(col(ServerRow.hostname)).limit(limit)
        return [_view(row) for row in await self._database.fetch(query)]

    async def owned(self, account: str, hostnames: list[str]) -> list[str]:
        query = select(col(ServerRow.hostname)).where(
            col(ServerRow.account) == account, col(ServerRow.hostname).in_(hostnames)
        )
        return [row.hostname for row in await self._database.fetch(query)]

    async def count(self, account: str) -> int:
        query = select(func.count()).where(col(ServerRow.account) == account)
        return int((await self._database.fetch(query))[0][0])

    async def bmc(self, hostname: str) -> BmcEndpoint | None:
        query = select(
            col(ServerRow.bmc_protocol),
            col(ServerRow.bmc_address),
            col(ServerRow.bmc_port),
            col(ServerRow.bmc_credentials),
            col(ServerRow.registration),
            col(ServerRow.bmc_refused),
        ).where(col(ServerRow.hostname) == hostname)
        rows = await self._database.fetch(query)
        if not rows:
            return None
        row = rows[0]
        username, password = _unpack(self._sealer.open(hostname, row.bmc_credentials))
        return BmcEndpoint(
            address=row.bmc_address,
            port=row.bmc_port,
            username=username,
            password=password,
            protocol=Protocol(row.bmc_protocol),
            registration=row.registration,
            refused=row.bmc_refused == row.registration,
        )

    async def bmc_refused(self, endpoint: BmcEndpoint) -> None:
        mine = (
            (col(ServerRow.bmc_address) == endpoint.address)
            & (col(ServerRow.bmc_port) == endpoint.port)
            & (col(ServerRow.registration) == endpoint.registration)
        )
        async with self._database.write() as session:
            await session.execute(
                update(ServerRow).where(mine).values(bmc_refused=endpoint.registration)
            )

    async def put(self, server: Server, username: bytes, password: bytes) -> Server:
        async with self._database.write() as session:
            earlier = await session.get(ServerRow, server.hostname)
            row = ServerRow(
                hostname=server.hostname,
                account=server.account,
                ips=[*server.ips],
                datacenter=server.datacenter,
                mac=server.mac,
                uuid=server.uuid,
                uefi=server.uefi,
                bmc_protocol=server.bmc_protocol,
                bmc_address=server.bmc_address,
                bmc_port=server.bmc_port,
                registration=earlier.registration + 1 if earlier else 1,
                bmc_refused=None,
                bmc_credentials=self._sealer.seal(server.hostname, _pack(username, password)),
                create_time=earlier.create_time if earlier else server.create_time,
            )
            if earlier and earlier.account != server.account:
                await _forget(session, server.hostname, *_OF_ACCOUNT)
            await session.merge(row)
            await session.flush()
            # Asked at once, and as if nothing were known: it may be another BMC.
            await session.merge(
                BmcStatusRow(
                    hostname=server.hostname,
                    power=PowerState.UNKNOWN,
                    identity=None,
                    due_time=server.create_time,
                )
            )
            if await session.get(MonitoredRow, server.hostname) is None:
                # Measured at once, and from then on at a second of the minute that is its own.
                second = zlib.crc32(server.hostname.encode()) % RAW.step
                due = server.create_time + timedelta(seconds=second - RAW.step)
                session.add(MonitoredRow(hostname=server.hostname, due_time=due))
            mine = col(ServerIpRow.hostname) == server.hostname
            await session.execute(delete(ServerIpRow).where(mine, ~col(ServerIpRow.failover)))
            for ip in server.ips:
                session.add(ServerIpRow(ip=ip, hostname=server.hostname))
                try:
                    await session.flush()
                except IntegrityError:
                    raise AddressTaken(ip) from None
        return await self._get(server.hostname)

    async def delete(self, hostname: str) -> bool:
        async with self._database.write() as session:
            row = await session.get(ServerRow, hostname)
            if row is None:
                return False
            holding = select(col(OperationRow.id)).where(
                col(OperationRow.server) == hostname, HOLDS
            )
            holder = (await session.execute(holding)).scalar_one_or_none()
            if holder is None:
                holder = await _mover(session, hostname)
            if holder is not None:
                raise ServerBusy(f"operations/{holder}")
            await _forget(session, hostname, *_OF_SERVER, *_OF_ACCOUNT)
            await session.delete(row)
        return True

    async def _get(self, hostname: str) -> Server:
        view = await self.find(hostname)
        assert view is not None  # noqa: S101 - it was just written
        return view.server


def _view(row: Row[*tuple[Any, ...]]) -> ServerView:
    server = Server(
        hostname=row.hostname,
        account=row.account,
        ips=tuple(row.ips),
        datacenter=row.datacenter,
        mac=row.mac,
        uuid=row.uuid,
        uefi=row.uefi,
        bmc_protocol=Protocol(row.bmc_protocol),
        bmc_address=row.bmc_address,
        bmc_port=row.bmc_port,
        create_time=utc(row.create_time),
    )
    operation = f"operations/{row.current_operation}" if row.current_operation else ""
    return ServerView(
        server,
        operation,
        netboot_of(row) if row.boot_type else Netboot(),
        PowerState(row.power or PowerState.UNKNOWN),
        utc(row.contact_time) if row.contact_time else None,
    )


async def _mover(session: AsyncSession, hostname: str) -> UUID | None:
    """The operation that moves an address away from the server."""
    leaving = select(ServerIpRow).where(
        col(ServerIpRow.hostname) == hostname, col(ServerIpRow.move).is_not(None)
    )
    movers = [await mover(session, row) for row in (await session.execute(leaving)).scalars()]
    return next(filter(None, movers), None)


async def _forget(session: AsyncSession, hostname: str, *tables: Any) -> None:
    for table in tables:
        await session.execute(delete(table).where(col(table.hostname) == hostname))


def _pack(username: bytes, password: bytes) -> bytes:
    return json.dumps([username.decode("latin-1"), password.decode("latin-1")]).encode()


def _unpack(content: bytes) -> tuple[bytes, bytes]:
    username, password = json.loads(content)
    return username.encode("latin-1"), password.encode("latin-1")
