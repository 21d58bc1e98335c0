"""Which process lives, and which one talks to which BMC, on the database's clock."""

from datetime import datetime, timedelta

from sqlalchemy import delete, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from services.runtime.database import Database, utc
from services.server_ops.adapters.bmc.leases import Key, Renewed
from services.server_ops.store.tables import BmcLeaseRow, InstanceRow


class SqlLeases:
    """Implements LeaseStore for one process."""

    def __init__(self, database: Database, instance: str) -> None:
        self._database = database
        self._instance = instance

    async def acquire(self, key: Key, seconds: float) -> bool:
        address, port = key
        try:
            async with self._database.write() as session:
                now = await _now(session)
                row = await session.get(BmcLeaseRow, (address, port), with_for_update=True)
                if row is None:
                    row = BmcLeaseRow(
                        address=address, port=port, instance="", expire_time=now, wanted=False
                    )
                    session.add(row)
                elif row.instance != self._instance and utc(row.expire_time) > now:
                    row.wanted = True
                    return False
                row.instance = self._instance
                row.expire_time = now + timedelta(seconds=seconds)
                row.wanted = False
        except IntegrityError:
            return False  # another process was first at the same moment
        return True

    async def renew(self, seconds: float) -> Renewed:
        mine = select(BmcLeaseRow).where(col(BmcLeaseRow.instance) == self._instance)
        async with self._database.write() as session:
            now = await _now(session)
            end = now + timedelta(seconds=seconds)
            rows = (await session.execute(mine.with_for_update())).scalars().all()
            for row in rows:
                row.expire_time = end
            await session.merge(InstanceRow(name=self._instance, expire_time=end))
            return Renewed(
                frozenset((row.address, row.port) for row in rows),
                frozenset((row.address, row.port) for row in rows if row.wanted),
            )

    async def release(self, key: Key) -> None:
        address, port = key
        async with self._database.write() as session:
            await session.execute(
                delete(BmcLeaseRow).where(
                    col(BmcLeaseRow.address) == address,
                    col(BmcLeaseRow.port) == port,
                    col(BmcLeaseRow.instance) == self._instance,
                )
            )

    async def living(self) -> frozenset[str]:
        """The processes whose lease has not run out."""
        async with self._database.write() as session:
            now = await _now(session)
            rows = (await session.execute(select(InstanceRow))).scalars().all()
            return frozenset(row.name for row in rows if utc(row.expire_time) > now)


async def _now(session: AsyncSession) -> datetime:
    return utc((await session.execute(select(func.now()))).scalar_one())
