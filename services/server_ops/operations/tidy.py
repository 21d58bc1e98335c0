"""Operations that ended long ago."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from uuid import UUID

from services.runtime.clock import Clock
from services.server_ops.operations.repository import Operations

BITE = 500
"""So many are removed at once: nobody waits long for the one lock on writing."""


Forget = Callable[[list[UUID]], Awaitable[None]]
"""Removes what the workflows of operations kept, if they kept something."""


class TidyOperations:
    """Removes operations some time after their end."""

    def __init__(
        self, operations: Operations, forget: Forget, clock: Clock, kept: timedelta
    ) -> None:
        self._operations = operations
        self._forget = forget
        self._clock = clock
        self._kept = kept

    async def __call__(self) -> None:
        """Does so once."""
        before = self._clock() - self._kept
        while ended := await self._operations.ended(before, BITE):
            await self._forget(ended)
            await self._operations.delete(ended)
