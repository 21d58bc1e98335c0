"""Following an operation to its end."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from uuid import UUID

from services.runtime.places import Places
from services.server_ops.operations.operation import Operation
from services.server_ops.operations.repository import Operations

WATCH_SECONDS = 300.0
"""A stream ends after so long. Whoever watches on is checked anew: a key that was revoked does not
keep a stream for longer."""

WAIT_SECONDS = 10.0

LOOK_SECONDS = 1.0
"""How long a change that another process made may go unseen."""

WATCHERS, WATCHERS_OF_ONE = 1000, 16


class Changes:
    """Tells who waits in this process that an operation was changed here."""

    def __init__(self) -> None:
        self._waiting: dict[UUID, set[asyncio.Event]] = {}

    def tell(self, operation: UUID) -> None:
        """The operation was changed."""
        for event in self._waiting.get(operation, ()):
            event.set()

    @contextmanager
    def of(self, operation: UUID) -> Iterator[asyncio.Event]:
        """An event that is set whenever the operation is changed."""
        event = asyncio.Event()
        self._waiting.setdefault(operation, set()).add(event)
        try:
            yield event
        finally:
            self._waiting[operation].discard(event)
            if not self._waiting[operation]:
                del self._waiting[operation]


class WatchOperation:
    """Follows operations, for a bounded number of watchers."""

    def __init__(
        self,
        operations: Operations,
        changes: Changes,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._operations = operations
        self._changes = changes
        self._monotonic = monotonic
        self._places = Places("operations are watched", WATCHERS, WATCHERS_OF_ONE)

    async def watch(self, operation: Operation, watcher: str) -> AsyncIterator[Operation]:
        """The operation now, and after each change, to its end; for WATCH_SECONDS at the most.

        A slow reader is given the newest state, not each one. Raises ApiError(OVERLOADED) when
        `watcher` watches too many.
        """
        with self._places.one(watcher):
            yield operation
            async for changed in self._follow(operation, WATCH_SECONDS):
                yield changed

    async def wait(self, operation: Operation, watcher: str) -> Operation:
        """The operation when it has ended, or as it is after WAIT_SECONDS. Raises as `watch`."""
        with self._places.one(watcher):
            seen = [each async for each in self._follow(operation, WAIT_SECONDS)]
            return seen[-1] if seen else operation

    async def _follow(self, operation: Operation, seconds: float) -> AsyncIterator[Operation]:
        until = self._monotonic() + seconds
        latest = operation
        with self._changes.of(operation.id) as changed:
            while not latest.done and (left := until - self._monotonic()) > 0:
                changed.clear()
                found = await self._operations.find(operation.id)
                if found is None:
                    return
                if found != latest:
                    latest = found
                    yield latest
                    continue
                try:
                    async with asyncio.timeout(min(left, LOOK_SECONDS)):
                        await changed.wait()
                except TimeoutError:
                    continue
