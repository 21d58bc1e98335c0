"""What the check has to know of a key or a session, read once and kept for a moment."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, Protocol, TypeVar

from cachetools import LRUCache

from services.auth.keys.key import SecretDigest


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """What the check has to know of a key."""

    id: str
    audience: int
    account: str
    pepper: int
    digest: bytes
    capabilities: frozenset[str]
    cidrs: tuple[str, ...]
    """As they are kept: to parse them takes time, and only a caller who knew the secret may cost
    it, or the time of a refusal would tell which ids there are."""
    policy_digest: bytes
    expire_time: datetime | None
    revoked: bool


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """What the check has to know of a session, and of the user whose it is."""

    id: str
    user: str
    """The user's id."""
    account: str
    audience: int
    """SESSION, or STAFF for a user of a NOC account."""
    role: int
    """f2h.access.v1.AccessRule.Role"""
    pepper: int
    digest: bytes
    last_used_time: datetime
    expire_time: datetime


class KeyRecords(Protocol):
    """Where the check finds keys."""

    async def record(self, key_id: str) -> KeyRecord | None:
        """The key with this id, of whatever audience."""
        ...

    async def redigest(self, key_id: str, old: SecretDigest, new: SecretDigest) -> None:
        """Replaces what is stored of a key's secret, unless somebody else did."""
        ...

    async def certified(self, name: str) -> KeyRecord | None:
        """The NOC service whose client certificate names it so."""
        ...


class SessionRecords(Protocol):
    """Where the check finds sessions."""

    async def record(self, session_id: str) -> SessionRecord | None:
        """The session with this id, unless its user may not sign in any more."""
        ...

    async def touch(self, session_id: str, now: datetime) -> None:
        """Notes that the session was used."""
        ...


Record = TypeVar("Record")

Kept = LRUCache[str, tuple[float, Record | None]]
"""By id: when it must be read again, in seconds of the timer, and what was found."""


class RecordCache(Generic[Record]):
    """Keeps what was read, for some seconds from the moment when the reading began.

    Not from its end: the key may have been revoked while it was read. That there is no such key is
    kept as long as a key is, so that the time of an answer does not tell which ids there are; it is
    kept apart, so that a flood of made-up keys displaces no real one.
    """

    def __init__(
        self,
        read: Callable[[str], Awaitable[Record | None]],
        *,
        size: int,
        seconds: float,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self._read = read
        self._seconds = seconds
        self._timer = timer
        self._known: Kept[Record] = LRUCache(size)
        self._unknown: Kept[Record] = LRUCache(size)
        self._forgotten = 0
        """How often something was forgotten."""

    async def get(self, name: str) -> Record | None:
        """What has this id. Raises what reading it raises, and keeps no failure."""
        kept = self._known.get(name) or self._unknown.get(name)
        now = self._timer()
        if kept is not None and kept[0] > now:
            return kept[1]
        forgotten = self._forgotten
        record = await self._read(name)
        if forgotten == self._forgotten:  # else this may be what it was before it was changed
            where = self._unknown if record is None else self._known
            where[name] = now + self._seconds, record
        return record

    def forget(self, name: str) -> None:
        """Makes the next look read again."""
        self._forgotten += 1
        self._known.pop(name, None)
        self._unknown.pop(name, None)
