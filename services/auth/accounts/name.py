"""What keys and people are called, for who has only their ids."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

from services.runtime.access import Audience


@dataclass(frozen=True)
class PrincipalName:
    """What a key or a person is called."""

    id: str
    audience: "Audience.ValueType"
    """CUSTOMER, a key, or SESSION, a person."""
    name: str
    """The label of a key; the e-mail address of a person."""


class PrincipalNames(Protocol):
    """Knows the names of all that ever were."""

    async def of(self, account: str, ids: Collection[str]) -> list[PrincipalName]:
        """The names of those of the account, in no order; ids of others are left out."""
        ...
