"""Failures of signing in, in the database, so that all processes count together."""

from datetime import datetime, timedelta

from sqlalchemy import DateTime, bindparam, case, delete, func, select, text, update
from sqlmodel import col

from services.auth.sign_in.throttle import ADDRESS, Slot, Taken
from services.auth.store.tables import SignInThrottleRow
from services.runtime.database import Database, utc

_TOUCH = text(
    "INSERT INTO sign_in_throttle (subject, failures, last_time) VALUES (:subject, 0, :time)"
    " ON CONFLICT (subject) DO NOTHING"
).bindparams(bindparam("time", type_=DateTime(timezone=True)))
"""So that there is a row to hold, also for two first attempts at the same moment."""


class SqlFailures:
    """Implements Failures."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def take(self, slots: list[Slot], now: datetime) -> Taken:
        async with self._database.write() as session:
            rows, before = [], {}
            # In one order everywhere, so that two attempts never wait for one another. Addresses
            # come first: one that must wait cannot fill the table with users it makes up.
            for slot in sorted(slots, key=lambda each: each.subject):
                await session.execute(_TOUCH, {"subject": slot.subject, "time": now})
                query = (
                    select(SignInThrottleRow)
                    .where(col(SignInThrottleRow.subject) == slot.subject)
                    .with_for_update()
                )
                row = (await session.execute(query)).scalar_one()
                last = utc(row.last_time)
                if last + slot.patience.forgotten <= now:
                    row.failures = 0
                delay = slot.patience.delay(row.failures)
                # Without a delay nobody waits, also not for another process's clock that is ahead.
                if delay and last + delay > now:
                    return Taken(last + delay - now, {})
                rows.append(row)
                before[slot.subject] = last
            for row in rows:
                row.failures += 1
                row.last_time = now
        return Taken(timedelta(), before)

    async def give_back(self, subject: str, time: datetime, before: datetime) -> None:
        last = col(SignInThrottleRow.last_time)
        failures = col(SignInThrottleRow.failures)
        async with self._database.write() as session:
            await session.execute(
                update(SignInThrottleRow)
                .where(col(SignInThrottleRow.subject) == subject, failures > 0)
                # Who failed meanwhile is the newest failure.
                .values(failures=failures - 1, last_time=case((last == time, before), else_=last))
            )

    async def clear(self, subject: str) -> None:
        async with self._database.write() as session:
            await session.execute(
                delete(SignInThrottleRow).where(col(SignInThrottleRow.subject) == subject)
            )

    async def count(self) -> int:
        """How many subjects are remembered."""
        rows = await self._database.fetch(select(func.count()).select_from(SignInThrottleRow))
        return int(rows[0][0])

    async def forget_old(self, now: datetime) -> None:
        """Removes what does not count any more."""
        async with self._database.write() as session:
            await session.execute(
                delete(SignInThrottleRow).where(
                    col(SignInThrottleRow.last_time) < now - ADDRESS.forgotten
                )
            )
