"""Operations that ended long ago."""

from datetime import timedelta

from services.runtime.clock import Clock
from services.server_ops.operations.repository import Operations

BITE = 500
"""So many are removed at once: nobody waits long for the one lock on writing."""


class TidyOperations:
    """Removes operations some time after their end."""

    def __init__(self, operations: Operations, clock: Clock, kept: timedelta) -> None:
        self._operations = operations
        self._clock = clock
        self._kept = kept

    async def __call__(self) -> None:
        """Does so once."""
        before = self._clock() - self._kept
        while await self._operations.delete_ended(before, BITE) == BITE:
            pass
