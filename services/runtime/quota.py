"""How often somebody may do something within a minute, in this process."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from cachetools import TTLCache

WINDOW_SECONDS = 60.0

REMEMBERED = 100_000


@dataclass
class _Count:
    value: int = 0


class PerMinute:
    """Counts in windows of a minute, which begin with the first time.

    Bounded: where too many are counted, the eldest is forgotten.
    """

    def __init__(self, limit: int, timer: Callable[[], float] = time.monotonic) -> None:
        """`timer` answers seconds."""
        self._limit = limit
        self._counts: TTLCache[str, _Count] = TTLCache(REMEMBERED, WINDOW_SECONDS, timer)

    def allows(self, name: str) -> bool:
        """Counts once more for this name, and tells whether that is within the limit."""
        count = self._counts.get(name)
        if count is None:
            count = self._counts[name] = _Count()
        count.value += 1
        return count.value <= self._limit
