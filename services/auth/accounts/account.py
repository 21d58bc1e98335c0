"""An account, and where accounts are kept."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol


class Kind(StrEnum):
    """What an account is, as f2h.auth.v1.Account.Kind."""

    CUSTOMER = "CUSTOMER"
    NOC = "NOC"


@dataclass(frozen=True)
class Account:
    """A customer, or staff of the NOC."""

    id: str
    kind: Kind
    create_time: datetime


class Accounts(Protocol):
    """Where accounts are kept."""

    async def add(self, account: Account) -> None:
        """Keeps a new account. Raises ApiError(ALREADY_EXISTS)."""
        ...

    async def get(self, account_id: str) -> Account | None:
        """The account with this id."""
        ...

    async def page(self, after: str, limit: int) -> list[Account]:
        """Accounts by id, those behind `after`."""
        ...
