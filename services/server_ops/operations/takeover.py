"""Taking over the operations of a process that is gone."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Protocol
from uuid import UUID

import structlog

from services.runtime.clock import Clock
from services.server_ops.operations.repository import Operations

NOT_STARTED = timedelta(seconds=10)
"""An operation that was accepted so long ago and has no workflow was accepted by a process that
ended in between."""

log = structlog.get_logger()


class Workflows(Protocol):
    """The durable workflows of operations."""

    async def start(self, operation: UUID) -> None:
        """Begins the workflow of an operation; a second time changes nothing."""
        ...

    async def gave_up(self, operation: UUID) -> bool:
        """Whether it ended without success and will not be taken up."""
        ...

    async def runner(self, operation: UUID) -> str | None:
        """The process that runs it, or ran it last; None: it was not started."""
        ...

    async def adopt(self, runner: str) -> None:
        """Lets the living go on with what a process that is gone was running."""
        ...


class TakeOver:
    """Looks for operations that nobody runs any more."""

    def __init__(
        self,
        operations: Operations,
        workflows: Workflows,
        living: Callable[[], Awaitable[frozenset[str]]],
        give_up: Callable[[UUID], Awaitable[None]],
        clock: Clock,
    ) -> None:
        """`living` are the processes that are there; `give_up` ends an operation."""
        self._operations = operations
        self._workflows = workflows
        self._living = living
        self._give_up = give_up
        self._clock = clock

    async def __call__(self) -> None:
        """Does so once."""
        unfinished = await self._operations.unfinished()
        if not unfinished:
            return
        living = await self._living()
        gone = set()
        for operation in unfinished:
            runner = await self._workflows.runner(operation.id)
            if runner is None:
                if self._clock() - operation.create_time > NOT_STARTED:
                    await self._workflows.start(operation.id)
            elif await self._workflows.gave_up(operation.id):
                await self._give_up(operation.id)
            elif runner not in living:
                gone.add(runner)
        for runner in gone:
            log.warning("operations taken over", of=runner)
            await self._workflows.adopt(runner)
