"""Networks and the routers of their failover addresses, in the database."""

from typing import Any

from sqlalchemy import Row, select
from sqlmodel import col

from services.runtime.database import Database
from services.server_ops.ips.ip import Network, NetworkKnown
from services.server_ops.ips.router import Router, RouterInUse
from services.server_ops.store.tables import NetworkRow, RouterRow


class SqlNetworks:
    """Implements Networks."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self) -> list[Network]:
        rows = await self._database.fetch(select(NetworkRow).order_by(col(NetworkRow.name)))
        return [_network(row) for row in rows]

    async def put(self, network: Network) -> None:
        async with self._database.write() as session:
            if network.router and await session.get(RouterRow, network.router) is None:
                raise LookupError(network.router)
            same = col(NetworkRow.cidr) == network.cidr, col(NetworkRow.name) != network.name
            known = (await session.execute(select(NetworkRow).where(*same))).scalar_one_or_none()
            if known is not None:
                raise NetworkKnown(known.name)
            await session.merge(
                NetworkRow(
                    name=network.name,
                    cidr=network.cidr,
                    gateway=network.gateway,
                    router=network.router or None,
                )
            )

    async def delete(self, name: str) -> bool:
        async with self._database.write() as session:
            row = await session.get(NetworkRow, name)
            if row is None:
                return False
            await session.delete(row)
        return True


class SqlRouters:
    """Implements Routers."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, name: str) -> Router | None:
        rows = await self._database.fetch(select(RouterRow).where(col(RouterRow.name) == name))
        return _router(rows[0]) if rows else None

    async def all(self) -> list[Router]:
        rows = await self._database.fetch(select(RouterRow).order_by(col(RouterRow.name)))
        return [_router(row) for row in rows]

    async def put(self, router: Router) -> None:
        async with self._database.write() as session:
            await session.merge(
                RouterRow(
                    name=router.name,
                    address=router.address,
                    port=router.port,
                    user=router.user,
                    host_key=router.host_key,
                )
            )

    async def delete(self, name: str) -> bool:
        async with self._database.write() as session:
            row = await session.get(RouterRow, name)
            if row is None:
                return False
            of_router = select(NetworkRow).where(col(NetworkRow.router) == name).limit(1)
            using = (await session.execute(of_router)).scalar_one_or_none()
            if using is not None:
                raise RouterInUse(using.name)
            await session.delete(row)
        return True


def _network(row: Row[*tuple[Any, ...]]) -> Network:
    return Network(row.name, row.cidr, row.gateway, row.router or "")


def _router(row: Row[*tuple[Any, ...]]) -> Router:
    return Router(row.name, row.address, row.port, row.user, row.host_key)
