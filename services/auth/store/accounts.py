"""Accounts in the database."""

from f2h.access.v1.reason_pb2 import Reason
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlmodel import col

from services.auth.accounts.account import Account, Kind
from services.auth.store.tables import AccountRow
from services.runtime.database import Database, utc
from services.runtime.errors import ApiError


class SqlAccounts:
    """Implements Accounts."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, account: Account) -> None:
        try:
            async with self._database.write() as session:
                session.add(
                    AccountRow(id=account.id, kind=account.kind, create_time=account.create_time)
                )
        except IntegrityError:
            text = f"There is an account {account.id} already."
            raise ApiError(Reason.ALREADY_EXISTS, text, metadata={"resource": account.id}) from None

    async def get(self, account_id: str) -> Account | None:
        query = select(AccountRow).where(col(AccountRow.id) == account_id)
        rows = await self._database.fetch(query)
        return Account(rows[0].id, Kind(rows[0].kind), utc(rows[0].create_time)) if rows else None

    async def exists(self, account_id: str) -> bool:
        """Whether there is such an account."""
        return await self.get(account_id) is not None

    async def page(self, after: str, limit: int) -> list[Account]:
        query = (
            select(AccountRow)
            .where(col(AccountRow.id) > after)
            .order_by(col(AccountRow.id))
            .limit(limit)
        )
        return [
            Account(row.id, Kind(row.kind), utc(row.create_time))
            for row in await self._database.fetch(query)
        ]
