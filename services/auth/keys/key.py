"""An API key, and where keys are kept."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from f2h.access.v1.reason_pb2 import Reason

from services.runtime.errors import ApiError
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
    last_used_at: datetime | None = None
    last_used_ip: str = ""
    replaces: str = ""
    """The id of the key that this one came from by rotation."""
    replaced_by: str = ""
    """The id of the key that came from this one by rotation."""

    def state(self, now: datetime) -> State:
        """Whether it can be used at this moment."""
        if self.revoke_time is not None:
            return State.REVOKED
        if self.expire_time is not None and self.expire_time <= now:
            return State.EXPIRED
        return State.ACTIVE

    def policy(self) -> Policy:
        """What it may do, where, and from where."""
        return Policy(self.capabilities, self.servers, self.cidrs)

    def require_active(self, now: datetime) -> None:
        """Raises ApiError(KEY_NOT_ACTIVE) for a key that is past changing."""
        state = self.state(now)
        if state != State.ACTIVE:
            text = f"Key {self.id} is {state}: make a new one instead."
            raise ApiError(Reason.KEY_NOT_ACTIVE, text, metadata={"state": state})


@dataclass(frozen=True)
class SecretDigest:
    """What is stored of a key's secret."""

    pepper: int
    digest: bytes


@dataclass(frozen=True)
class Calls:
    """How often a capability was used."""

    last_24_hours: int
    last_30_days: int


@dataclass(frozen=True)
class KeyRequest:
    """A request that is to make one key, however often it is sent."""

    caller: str
    """Id of the user or the key that asks."""
    id: str
    """The caller's own id of the request, one of that caller alone."""
    digest: bytes
    """Of what was asked for, SHA-256: an id is good for one such request only."""


class RequestKnown(Exception):  # noqa: N818 - it says what happened
    """A request with this id made a key before."""


@dataclass(frozen=True)
class NewKey:
    """A key that is to be kept."""

    key: ApiKey
    digest: SecretDigest
    certificate: str | None = None
    """Whom the client certificate of a NOC service names, for a key that shows no secret."""
    request: KeyRequest | None = None
    """What it is made for; None: its caller gave the request no id."""


@dataclass(frozen=True)
class KeyMade:
    """What a request made."""

    key_id: str
    digest: bytes
    """Of the request."""


class Keys(Protocol):
    """Where keys are kept."""

    async def add(self, new: NewKey) -> None:
        """Keeps a new key, its policy, and what it was made for, in one transaction.

        Raises ApiError(ALREADY_EXISTS) when another one is known by its certificate, and
        RequestKnown.
        """
        ...

    async def made(self, caller: str, request_id: str) -> KeyMade | None:
        """The key that the caller's request with this id made within the last day at least."""
        ...

    async def get(self, key_id: str, audience: Audience = Audience.CUSTOMER) -> ApiKey | None:
        """The key with this id."""
        ...

    async def page(self, account: str, after: str, limit: int) -> list[ApiKey]:
        """Keys of an account, newest first, those behind the position `after`."""
        ...

    async def change(
        self,
        key_id: str,
        change: Callable[[ApiKey], ApiKey],
        *,
        audience: Audience = Audience.CUSTOMER,
        successor: Callable[[ApiKey], NewKey] | None = None,
    ) -> ApiKey | None:
        """The key after `change`, which sees it as it is now and while nobody else changes it.

        Both it and the successor that is made of the key as it was are kept, or neither: what
        `change` raises leaves everything as it was. Raises RequestKnown for the successor's.
        """
        ...

    async def keep_policy(self, policy: Policy, now: datetime) -> None:
        """Keeps a policy for at least a day, for who asks for it by its digest."""
        ...

    async def policy(self, digest: bytes) -> bytes | None:
        """A policy in its canonical form, by its digest."""
        ...

    async def calls(
        self, key_ids: Iterable[str], now: datetime
    ) -> Mapping[str, Mapping[str, Calls]]:
        """How often each of the keys used each capability, by key id and capability id."""
        ...


@dataclass(frozen=True)
class Owned:
    """What belongs to an account."""

    hostnames: frozenset[str]
    """Those that were asked for."""
    account_servers: int
    """How many servers the account has in all."""


class Inventory(Protocol):
    """Knows whose a server is."""

    async def owned(self, account: str, hostnames: list[str]) -> Owned:
        """Which of the hostnames belong to the account. Raises ApiError."""
        ...


def position(key: ApiKey) -> str:
    """Where a key stands in the list, for the token of the next page."""
    return f"{key.create_time.isoformat()} {key.id}"
