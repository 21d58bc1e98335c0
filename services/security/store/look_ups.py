"""What the sweep found, in the database."""

import zlib
from collections.abc import Collection, Iterable
from datetime import datetime, timedelta

from sqlalchemy import bindparam, delete, select, update
from sqlmodel import col

from services.runtime.database import Database, insert_into
from services.security.antispam.listing import LookUp
from services.security.antispam.sweep import Swept
from services.security.store.tables import LookUpRow

AT_A_TIME = 500
"""So many rows are changed by one statement."""

_PARTS = 2**32
"""CRC-32 has so many values: where an address has its place in the interval."""


class SqlLookUps:
    """Implements LookUps."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def refresh(self, ips: Collection[str], now: datetime, interval: timedelta) -> None:
        there = {row.ip for row in await self._database.scan(select(col(LookUpRow.ip)))}
        gone, new = sorted(there.difference(ips)), sorted({*ips} - there)
        for part in _parts(gone):
            async with self._database.write() as session:
                await session.execute(delete(LookUpRow).where(col(LookUpRow.ip).in_(part)))
        for part in _parts(new):
            rows = [{"ip": ip, "lists": [], "due_time": now + interval * _place(ip)} for ip in part]
            async with self._database.write() as session:
                # Another process may learn of them at the same time.
                insert = insert_into(session, LookUpRow).on_conflict_do_nothing()
                await session.execute(insert, rows)

    async def claim_due(self, now: datetime, interval: timedelta, limit: int) -> list[Swept]:
        due = (
            select(LookUpRow)
            .where(col(LookUpRow.due_time) <= now)
            .order_by(col(LookUpRow.due_time))
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        async with self._database.write() as session:
            rows = [*(await session.execute(due)).scalars()]
            claimed = [Swept(row.ip, tuple(row.lists)) for row in rows]
            for row in rows:
                row.due_time = now + interval
        return claimed

    async def found(self, look_ups: Iterable[LookUp]) -> None:
        known = [
            {
                "this": each.ip,
                "lists": sorted(listing.list for listing in each.listings),
            }
            for each in look_ups
            if not each.unknown
        ]
        if not known:
            return
        change = (
            update(LookUpRow)
            .where(col(LookUpRow.ip) == bindparam("this"))
            .values(lists=bindparam("lists"))
        )
        async with self._database.write() as session:
            connection = await session.connection()
            await connection.execute(change, known)


def _parts(ips: list[str]) -> Iterable[list[str]]:
    return (ips[begin : begin + AT_A_TIME] for begin in range(0, len(ips), AT_A_TIME))


def _place(ip: str) -> float:
    """Where in the interval an address is looked up, 0 to 1: its own place, spread evenly."""
    return zlib.crc32(ip.encode()) / _PARTS
