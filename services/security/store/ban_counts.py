"""How often addresses were banned, in the database."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from sqlalchemy import case, delete, select, tuple_
from sqlmodel import col

from services.runtime.database import Database, insert_into, utc
from services.security.antihack.counts import CountKey
from services.security.antihack.fail2ban import Ban
from services.security.store.tables import BanCountRow

_KEY = (col(BanCountRow.gateway), col(BanCountRow.jail), col(BanCountRow.ip))


class SqlBanCounts:
    """Implements BanCounts."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def before(self, bans: Iterable[tuple[str, Ban]]) -> Mapping[CountKey, int]:
        asked = {(gateway, ban.jail, ban.ip): ban for gateway, ban in bans}
        if not asked:
            return {}
        query = select(BanCountRow).where(tuple_(*_KEY).in_([*asked]))
        rows = await self._database.fetch(query)
        counted = {(row.gateway, row.jail, row.ip): row for row in rows}
        # A ban that was counted already was not before itself.
        return {
            key: row.times - (1 if asked[key].since <= utc(row.since) else 0)
            for key, row in counted.items()
        }

    async def count(self, gateway: str, bans: Iterable[Ban]) -> None:
        # In one order, so that two who count the same at once never wait for each other.
        rows = [
            {"gateway": gateway, "jail": ban.jail, "ip": ban.ip, "times": 1, "since": ban.since}
            for ban in sorted(bans, key=lambda each: (each.jail, each.ip))
        ]
        if not rows:
            return
        async with self._database.write() as session:
            insert = insert_into(session, BanCountRow)
            newer = col(BanCountRow.since) < insert.excluded.since
            times = col(BanCountRow.times)
            await session.execute(
                insert.on_conflict_do_update(
                    index_elements=_KEY,
                    set_={
                        "times": case((newer, times + 1), else_=times),
                        "since": case((newer, insert.excluded.since), else_=col(BanCountRow.since)),
                    },
                ),
                rows,
            )

    async def tidy(self, before: datetime) -> None:
        async with self._database.write() as session:
            await session.execute(delete(BanCountRow).where(col(BanCountRow.since) < before))
