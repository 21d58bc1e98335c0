"""How keys are used: counted as they pass, written down some seconds later."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from cachetools import LRUCache

from services.runtime.clock import Clock

LAST_USED_EVERY = timedelta(minutes=1)
"""How often a key's last use is written at most: it is no reason to write for every call."""

REMEMBERED_KEYS = 100_000


def hour_of(time: datetime) -> int:
    """The hour of a moment, in hours since the Unix epoch."""
    return int(time.timestamp()) // 3600


@dataclass
class Use:
    """What is to be written down of a key."""

    key_id: str
    last_used_at: datetime | None = None
    """None: it was written down less than a minute ago."""
    last_used_ip: str = ""
    calls: dict[tuple[int, str], int] = field(default_factory=dict)
    """Calls by hour and capability id."""


class Uses(Protocol):
    """Where uses are written down."""

    async def note(self, uses: Iterable[Use]) -> None:
        """Adds the calls, and replaces the last use."""
        ...


class Usage:
    """Counts in memory, so that a call does not wait for it.

    What was counted and not yet written is lost when the process is killed: some seconds at most.
    """

    def __init__(self, uses: Uses, clock: Clock) -> None:
        self._uses = uses
        self._clock = clock
        self._pending: dict[str, Use] = {}
        self._written: LRUCache[str, datetime] = LRUCache(REMEMBERED_KEYS)
        """When the last use of a key was written down."""

    @property
    def pending(self) -> Mapping[str, Use]:
        """What is to be written down, by key id."""
        return self._pending

    def count(self, key_id: str, capability: str, address: str) -> None:
        """A call passed with this key. A call that needs no capability counts as a use only."""
        now = self._clock()
        use = self._pending.get(key_id)
        if use is None:
            use = self._pending[key_id] = Use(key_id)
        written = self._written.get(key_id)
        if written is None or now - written >= LAST_USED_EVERY:
            use.last_used_at, use.last_used_ip = now, address
        if capability:
            at = hour_of(now), capability
            use.calls[at] = use.calls.get(at, 0) + 1

    async def flush(self) -> None:
        """Writes down what was counted. What cannot be written now is kept for the next time."""
        pending, self._pending = self._pending, {}
        uses = [use for use in pending.values() if use.calls or use.last_used_at]
        if not uses:
            return
        try:
            await self._uses.note(uses)
        except BaseException:
            self._put_back(uses)
            raise
        for use in uses:
            if use.last_used_at is not None:
                self._written[use.key_id] = use.last_used_at

    def _put_back(self, uses: list[Use]) -> None:
        for use in uses:
            newer = self._pending.get(use.key_id)
            if newer is None:
                self._pending[use.key_id] = use
                continue
            for at, calls in use.calls.items():
                newer.calls[at] = newer.calls.get(at, 0) + calls
            if newer.last_used_at is None:
                newer.last_used_at, newer.last_used_ip = use.last_used_at, use.last_used_ip
