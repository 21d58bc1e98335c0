"""Numbered keys that replace one another without a gap."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

from services.runtime.clock import Clock

Key = TypeVar("Key")


@dataclass(frozen=True)
class Dated(Generic[Key]):
    """A key, and from when on it is used for what is new."""

    key: Key
    use_from: datetime


class KeyRing(Generic[Key]):
    """Every key that is known, one of them in use.

    A new key is known for some time before it is used: so every process knows it when the first
    one uses it, whatever the order in which they were restarted.
    """

    def __init__(self, keys: Mapping[int, Dated[Key]], clock: Clock) -> None:
        """`keys` by number, at least one."""
        self._keys = dict(keys)
        self._clock = clock
        self._settled: int | None = None
        """The number in use, once no other one is to come. Every check of a key asks for it."""

    @property
    def in_use(self) -> int:
        """The highest number whose time has come; the lowest when none has."""
        if self._settled is not None:
            return self._settled
        now = self._clock()
        ready = [number for number, dated in self._keys.items() if dated.use_from <= now]
        if len(ready) == len(self._keys):
            self._settled = max(ready)
        return max(ready) if ready else min(self._keys)

    def get(self, number: int) -> Key | None:
        """The key with this number, if it is known."""
        dated = self._keys.get(number)
        return dated.key if dated else None

    def items(self) -> list[tuple[int, Key]]:
        """Every key that is known, by number."""
        return [(number, dated.key) for number, dated in sorted(self._keys.items())]
