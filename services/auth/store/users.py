"""Users in the database."""

from collections.abc import Callable
from typing import Any

from f2h.access.v1.reason_pb2 import Reason
from sqlalchemy import ColumnElement, Row, Select, delete, select
from sqlalchemy.exc import IntegrityError
from sqlmodel import col

from services.auth.accounts.account import Kind
from services.auth.accounts.user import User
from services.auth.sign_in.second_factor import peppers_of
from services.auth.store.tables import AccountRow, FormerUserRow, SessionRow, UserRow
from services.runtime.access import Role
from services.runtime.database import Database, utc
from services.runtime.errors import ApiError

_USER: Select[*tuple[Any, ...]] = select(UserRow, col(AccountRow.kind).label("kind")).join(
    AccountRow, col(AccountRow.id) == col(UserRow.account)
)

_FIND = select(*UserRow.__table__.columns, col(AccountRow.kind).label("kind")).join(  # type: ignore[attr-defined]
    AccountRow, col(AccountRow.id) == col(UserRow.account)
)
"""Columns, where rows outlive their session."""


class SqlUsers:
    """Implements Users."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, user: User) -> None:
        try:
            async with self._database.write() as session:
                session.add(UserRow(id=user.id, create_time=user.create_time, **_columns(user)))
        except IntegrityError:
            text = f"There is a user {user.email} already."
            raise ApiError(Reason.ALREADY_EXISTS, text, metadata={"resource": user.email}) from None

    async def get(self, user_id: str) -> User | None:
        return await self._one(col(UserRow.id) == user_id)

    async def by_email(self, email: str) -> User | None:
        return await self._one(col(UserRow.email) == email)

    async def by_oidc(self, issuer: str, subject: str) -> User | None:
        same = (col(UserRow.oidc_issuer) == issuer) & (col(UserRow.oidc_subject) == subject)
        return await self._one(same)

    async def page(self, account: str, after: str, limit: int) -> list[User]:
        query = (
            _FIND.where(col(UserRow.account) == account, col(UserRow.email) > after)
            .order_by(col(UserRow.email))
            .limit(limit)
        )
        return [_user(row, row.kind) for row in await self._database.fetch(query)]

    async def change(self, user_id: str, change: Callable[[User], User]) -> User | None:
        async with self._database.write() as session:
            query = _USER.where(col(UserRow.id) == user_id).with_for_update(of=UserRow)
            found = (await session.execute(query)).one_or_none()
            if found is None:
                return None
            row, kind = found
            after = change(_user(row, kind))
            for name, value in _columns(after).items():
                setattr(row, name, value)
        return after

    async def delete(self, user_id: str) -> bool:
        async with self._database.write() as session:
            await session.execute(delete(SessionRow).where(col(SessionRow.user_id) == user_id))
            done = await session.execute(
                delete(UserRow)
                .where(col(UserRow.id) == user_id)
                .returning(col(UserRow.id), col(UserRow.account), col(UserRow.email))
            )
            removed = done.one_or_none()
            if removed is not None:
                session.add(
                    FormerUserRow(id=removed.id, account=removed.account, email=removed.email)
                )
            return removed is not None

    async def recovery_codes_with(self, pepper: int) -> int:
        """How many users have recovery codes whose digests are under this pepper."""
        rows = await self._database.fetch(select(col(UserRow.recovery)))
        return sum(pepper in peppers_of(row.recovery) for row in rows)

    async def _one(self, which: ColumnElement[bool]) -> User | None:
        rows = await self._database.fetch(_FIND.where(which))
        return _user(rows[0], rows[0].kind) if rows else None


def _columns(user: User) -> dict[str, Any]:
    issuer, subject = user.oidc or (None, None)
    return {
        "account": user.account,
        "email": user.email,
        "role": Role.Name(user.role),
        "disabled": user.disabled,
        "password": user.password,
        "totp": user.totp,
        "totp_confirmed": user.totp_confirmed,
        "totp_step": user.totp_step,
        "recovery": [*user.recovery],
        "oidc_issuer": issuer,
        "oidc_subject": subject,
    }


def _user(row: UserRow | Row[*tuple[Any, ...]], kind: str) -> User:
    return User(
        id=row.id,
        account=row.account,
        kind=Kind(kind),
        email=row.email,
        role=Role.Value(row.role),
        create_time=utc(row.create_time),
        disabled=row.disabled,
        password=row.password,
        totp=row.totp,
        totp_confirmed=row.totp_confirmed,
        totp_step=row.totp_step,
        recovery=tuple(row.recovery),
        oidc=(row.oidc_issuer, row.oidc_subject or "") if row.oidc_issuer else None,
    )
