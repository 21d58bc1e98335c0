"""Sessions in the database."""

from datetime import datetime
from typing import Any

from sqlalchemy import Select, bindparam, delete, func, select, update
from sqlmodel import col

from services.auth.accounts.account import Kind
from services.auth.check.records import SessionRecord
from services.auth.keys.key import SecretDigest
from services.auth.sessions.session import Session
from services.auth.store.tables import AccountRow, SessionRow, UserRow
from services.runtime.access import Audience, Role
from services.runtime.database import Database, utc

_AUDIENCES = {Kind.CUSTOMER: Audience.SESSION, Kind.NOC: Audience.STAFF}

_RECORD: Select[*tuple[Any, ...]] = (
    select(
        col(SessionRow.pepper),
        col(SessionRow.digest),
        col(SessionRow.last_used_time),
        col(SessionRow.expire_time),
        col(UserRow.id).label("user"),
        col(UserRow.account),
        col(UserRow.role),
        col(AccountRow.kind),
    )
    .join(UserRow, col(UserRow.id) == col(SessionRow.user_id))
    .join(AccountRow, col(AccountRow.id) == col(UserRow.account))
    .where(col(SessionRow.id) == bindparam("id"), col(UserRow.disabled).is_(False))
)
"""Built once: every check of a session that is not cached needs it."""


class SqlSessions:
    """Implements Sessions and SessionRecords."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, session: Session, digest: SecretDigest) -> None:
        async with self._database.write() as writer:
            writer.add(
                SessionRow(
                    id=session.id,
                    user_id=session.user,
                    pepper=digest.pepper,
                    digest=digest.digest,
                    create_time=session.create_time,
                    last_used_time=session.last_used_time,
                    expire_time=session.expire_time,
                )
            )

    async def get(self, session_id: str) -> Session | None:
        rows = await self._database.fetch(
            select(SessionRow).where(col(SessionRow.id) == session_id)
        )
        if not rows:
            return None
        row = rows[0]
        return Session(
            id=row.id,
            user=row.user_id,
            create_time=utc(row.create_time),
            last_used_time=utc(row.last_used_time),
            expire_time=utc(row.expire_time),
        )

    async def end(self, session_id: str) -> None:
        async with self._database.write() as writer:
            await writer.execute(delete(SessionRow).where(col(SessionRow.id) == session_id))

    async def end_all(self, user_id: str, except_for: str) -> list[str]:
        ended = (
            delete(SessionRow)
            .where(col(SessionRow.user_id) == user_id, col(SessionRow.id) != except_for)
            .returning(col(SessionRow.id))
        )
        async with self._database.write() as writer:
            return [row.id for row in await writer.execute(ended)]

    async def record(self, session_id: str) -> SessionRecord | None:
        rows = await self._database.fetch(_RECORD, {"id": session_id})
        if not rows:
            return None
        row = rows[0]
        return SessionRecord(
            id=session_id,
            user=row.user,
            account=row.account,
            audience=_AUDIENCES[Kind(row.kind)],
            role=Role.Value(row.role),
            pepper=row.pepper,
            digest=row.digest,
            last_used_time=utc(row.last_used_time),
            expire_time=utc(row.expire_time),
        )

    async def touch(self, session_id: str, now: datetime) -> None:
        async with self._database.write() as writer:
            await writer.execute(
                update(SessionRow)
                .where(col(SessionRow.id) == session_id, col(SessionRow.last_used_time) < now)
                .values(last_used_time=now)
            )

    async def digested_with(self, pepper: int, now: datetime) -> int:
        """How many sessions that can be used have digests under this pepper."""
        query = select(func.count()).where(
            col(SessionRow.pepper) == pepper, col(SessionRow.expire_time) > now
        )
        return int((await self._database.fetch(query))[0][0])

    async def forget_old(self, now: datetime) -> None:
        """Removes sessions that have ended."""
        async with self._database.write() as writer:
            await writer.execute(delete(SessionRow).where(col(SessionRow.expire_time) <= now))
