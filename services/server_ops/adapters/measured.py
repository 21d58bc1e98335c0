"""What server_ops keeps and sends, measured: each implements a protocol by another one."""

from collections.abc import Callable, Sequence
from datetime import datetime
from uuid import UUID

from services.runtime import tracing
from services.server_ops.metrics import ServerOpsMetrics
from services.server_ops.operations.operation import Kind, Operation
from services.server_ops.operations.repository import Operations
from services.server_ops.operations.states import State
from services.server_ops.webhooks.answer import Answer, Sender


class MeasuredOperations:
    """Implements Operations."""

    def __init__(self, operations: Operations, metrics: ServerOpsMetrics) -> None:
        self._operations = operations
        self._metrics = metrics

    async def accept(self, operation: Operation) -> tuple[Operation, bool]:
        """See Operations."""
        accepted, new = await self._operations.accept(operation)
        if new:
            self._metrics.accepted(accepted)
        tracing.note("f2h.operation", accepted.name)
        return accepted, new

    async def update(self, operation: UUID, change: Callable[[Operation], Operation]) -> Operation:
        """See Operations."""
        ended = False

        def noticed(before: Operation) -> Operation:
            nonlocal ended
            after = change(before)
            ended = after.done and not before.done
            return after

        updated = await self._operations.update(operation, noticed)
        if ended:
            self._metrics.ended(updated)
        return updated

    async def find(self, operation: UUID) -> Operation | None:
        """See Operations."""
        return await self._operations.find(operation)

    async def page(
        self, *, server: str, account: str, states: Sequence[State], after: str, limit: int
    ) -> list[Operation]:
        """See Operations."""
        return await self._operations.page(
            server=server, account=account, states=states, after=after, limit=limit
        )

    async def newest(self, *, server: str, account: str, kind: Kind) -> Operation | None:
        """See Operations."""
        return await self._operations.newest(server=server, account=account, kind=kind)

    async def ended(self, before: datetime, limit: int) -> list[UUID]:
        """See Operations."""
        return await self._operations.ended(before, limit)

    async def delete(self, operations: list[UUID]) -> None:
        """See Operations."""
        await self._operations.delete(operations)

    async def unfinished(self) -> list[Operation]:
        """See Operations."""
        return await self._operations.unfinished()


class MeasuredSender:
    """Implements Sender."""

    def __init__(self, sender: Sender, metrics: ServerOpsMetrics) -> None:
        self._sender = sender
        self._metrics = metrics

    async def __call__(
        self, url: str, headers: dict[str, str], body: str, seconds: float
    ) -> Answer:
        """See Sender."""
        answer = await self._sender(url, headers, body, seconds)
        self._metrics.attempted(well=answer.success)
        return answer
