"""What the check has to know of a key, read once and kept for a moment."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from cachetools import LRUCache


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


class KeyRecords(Protocol):
    """Where the check finds keys."""

    async def record(self, key_id: str) -> KeyRecord | None:
        """The key with this id, of whatever audience."""
        ...


Kept = LRUCache[str, tuple[float, KeyRecord | None]]
"""By key id: when it must be read again, in seconds of the timer, and what was found."""


class RecordCache:
    """Keeps what was read of keys, for some seconds from the moment when the reading began.

    Not from its end: the key may have been revoked while it was read. That there is no such key is
    kept as long as a key is, so that the time of an answer does not tell which ids there are; it is
    kept apart, so that a flood of made-up keys displaces no real one.
    """

    def __init__(
        self,
        keys: KeyRecords,
        *,
        size: int,
        seconds: float,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self._keys = keys
        self._seconds = seconds
        self._timer = timer
        self._known: Kept = LRUCache(size)
        self._unknown: Kept = LRUCache(size)
        self._forgotten = 0
        """How often a key was forgotten."""

    async def get(self, key_id: str) -> KeyRecord | None:
        """The key with this id. Raises what reading it raises, and keeps no failure."""
        kept = self._known.get(key_id) or self._unknown.get(key_id)
        now = self._timer()
        if kept is not None and kept[0] > now:
            return kept[1]
        forgotten = self._forgotten
        record = await self._keys.record(key_id)
        if forgotten == self._forgotten:  # else this may be what the key was before it was changed
            where = self._unknown if record is None else self._known
            where[key_id] = now + self._seconds, record
        return record

    def forget(self, key_id: str) -> None:
        """Makes the next look at a key read it again."""
        self._forgotten += 1
        self._known.pop(key_id, None)
        self._unknown.pop(key_id, None)
