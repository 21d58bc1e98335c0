"""An API key, and where keys are kept."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from services.runtime.policy import Policy


class State(StrEnum):
    """Whether a key can be used."""

    ACTIVE = "ACTIVE"
    EXPIRED = "EXPIRED"
    REVOKED = "REVOKED"


class Audience(StrEnum):
    """What kind of caller a key makes."""

    CUSTOMER = "CUSTOMER"
    NOC = "NOC"


@dataclass(frozen=True)
class ApiKey:
    """A key, without its secret."""

    id: str
    audience: Audience
    account: str
    """The customer account that it acts for; empty for the NOC."""
    label: str
    capabilities: tuple[str, ...]
    servers: tuple[str, ...]
    cidrs: tuple[str, ...]
    create_time: datetime
    expire_time: datetime | None = None
    revoke_time: datetime | None = None

    def state(self, now: datetime) -> State:
        """Whether it can be used at this moment."""
        if self.revoke_time is not None:
            return State.REVOKED
        if self.expire_time is not None and self.expire_time <= now:
            return State.EXPIRED
        return State.ACTIVE

    def policy(self) -> Policy:
        """What it may do, and where."""
        return Policy(self.capabilities, self.servers)


@dataclass(frozen=True)
class SecretDigest:
    """What is stored of a key's secret."""

    pepper: int
    digest: bytes


class Keys(Protocol):
    """Where keys are kept."""

    async def add(self, key: ApiKey, digest: SecretDigest) -> None:
        """Keeps a new key, and its policy, in one transaction."""
        ...

    async def get(self, key_id: str) -> ApiKey | None:
        """The customer's key with this id."""
        ...

    async def page(self, account: str, after: str, limit: int) -> list[ApiKey]:
        """Keys of an account, newest first, those behind the position `after`."""
        ...

    async def revoke(self, key_id: str, now: datetime) -> ApiKey | None:
        """The customer's key, revoked now or earlier."""
        ...

    async def policy(self, digest: bytes) -> bytes | None:
        """A policy in its canonical form, by its digest."""
        ...


class Inventory(Protocol):
    """Knows whose a server is."""

    async def owned(self, account: str, hostnames: list[str]) -> frozenset[str]:
        """Those of the hostnames that belong to the account. Raises ApiError."""
        ...


def position(key: ApiKey) -> str:
    """Where a key stands in the list, for the token of the next page."""
    return f"{key.create_time.isoformat()} {key.id}"
