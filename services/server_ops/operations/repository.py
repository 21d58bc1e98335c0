"""Where operations are kept, which is also where a server's lock is: one holder, by constraint."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from services.server_ops.operations.operation import Kind, Operation
from services.server_ops.operations.states import State


class ServerHeld(Exception):  # noqa: N818 - it says what happened
    """Another operation holds the server."""

    def __init__(self, holder: Operation) -> None:
        super().__init__(holder.name)
        self.holder = holder


class RequestIdReused(Exception):  # noqa: N818
    """The request id was used for something else."""

    def __init__(self, earlier: Operation) -> None:
        super().__init__(earlier.name)
        self.earlier = earlier


class Operations(Protocol):
    """Where operations are kept."""

    async def accept(self, operation: Operation) -> tuple[Operation, bool]:
        """Keeps a new operation, which holds its server from then on.

        Answers it and True; or, when the same request of the same caller was accepted before, that
        operation and False. Raises ServerHeld and RequestIdReused.
        """
        ...

    async def find(self, operation: UUID) -> Operation | None:
        """The operation with this id."""
        ...

    async def update(self, operation: UUID, change: Callable[[Operation], Operation]) -> Operation:
        """Applies a change in one transaction and answers the new value. Raises what it raises."""
        ...

    async def page(
        self, *, server: str, account: str, states: Sequence[State], after: str, limit: int
    ) -> list[Operation]:
        """The account's operations on a server, newest first, behind the position `after`.

        Only those in one of the states; in whatever state when there are none.
        """
        ...

    async def newest(self, *, server: str, account: str, kind: Kind) -> Operation | None:
        """The account's newest operation of this kind on a server."""
        ...

    async def ended(self, before: datetime, limit: int) -> list[UUID]:
        """Operations that ended before then, at most so many."""
        ...

    async def delete(self, operations: list[UUID]) -> None:
        """Removes operations."""
        ...

    async def unfinished(self) -> list[Operation]:
        """The operations that have not ended."""
        ...
