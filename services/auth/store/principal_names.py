"""The names of keys and people in the database."""

from collections.abc import Collection

from sqlalchemy import literal, select
from sqlmodel import col

from services.auth.accounts.name import PrincipalName
from services.auth.keys.key import Audience as KeyAudience
from services.auth.store.tables import ApiKeyRow, FormerUserRow, UserRow
from services.runtime.access import Audience
from services.runtime.database import Database


class SqlPrincipalNames:
    """Implements PrincipalNames."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of(self, account: str, ids: Collection[str]) -> list[PrincipalName]:
        keys = select(
            col(ApiKeyRow.id), literal(Audience.CUSTOMER).label("kind"), col(ApiKeyRow.label)
        ).where(
            col(ApiKeyRow.id).in_(ids),
            col(ApiKeyRow.account) == account,
            col(ApiKeyRow.audience) == KeyAudience.CUSTOMER,
        )
        people = (
            select(col(row.id), literal(Audience.SESSION).label("kind"), col(row.email)).where(
                col(row.id).in_(ids), col(row.account) == account
            )
            for row in (UserRow, FormerUserRow)
        )
        rows = await self._database.fetch(keys.union_all(*people))
        return [PrincipalName(*row) for row in rows]
