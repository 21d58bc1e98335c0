"""Failures of signing in, in the database, so that all processes count together."""

from datetime import datetime, timedelta

from sqlalchemy import DateTime, bindparam, delete, select, text
from sqlmodel import col

from services.auth.sign_in.throttle import ADDRESS, Slot
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

    async def take(self, slots: list[Slot], now: datetime) -> timedelta:
        async with self._database.write() as session:
            rows = []
            # In one order everywhere, so that two attempts never wait for one another.
            for slot in sorted(slots, key=lambda each: each.subject):
                await session.execute(_TOUCH, {"subject": slot.subject, "time": now})
                query = (
                    select(SignInThrottleRow)
                    .where(col(SignInThrottleRow.subject) == slot.subject)
                    .with_for_update()
                )
                row = (await session.execute(query)).scalar_one()
                if utc(row.last_time) + slot.patience.forgotten <= now:
                    row.failures = 0
                rows.append((slot, row))
            wait = max(
                utc(row.last_time) + slot.patience.delay(row.failures) - now for slot, row in rows
            )
            if wait > timedelta():
                return wait
            for _, row in rows:
                row.failures += 1
                row.last_time = now
        return timedelta()

    async def clear(self, subject: str) -> None:
        async with self._database.write() as session:
            await session.execute(
                delete(SignInThrottleRow).where(col(SignInThrottleRow.subject) == subject)
            )

    async def forget_old(self, now: datetime) -> None:
        """Removes what does not count any more."""
        async with self._database.write() as session:
            await session.execute(
                delete(SignInThrottleRow).where(
                    col(SignInThrottleRow.last_time) < now - ADDRESS.forgotten
                )
            )
