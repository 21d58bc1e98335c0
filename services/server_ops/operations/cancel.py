"""Cancelling an operation."""

from uuid import UUID

from f2h.access.v1.reason_pb2 import Reason

from services.runtime.clock import Clock
from services.runtime.errors import ApiError
from services.server_ops.operations.operation import AlreadySent, Operation, WrongState, cancel
from services.server_ops.operations.repository import Operations


class CancelOperation:
    """Ends an operation before it has changed anything."""

    def __init__(self, operations: Operations, clock: Clock) -> None:
        self._operations = operations
        self._clock = clock

    async def __call__(self, operation: UUID) -> Operation:
        """The operation, cancelled. Its workflow finds out at its next step.

        Raises ApiError(NOT_CANCELLABLE) when a command has left, or when it has ended.
        """
        try:
            return await self._operations.update(operation, lambda o: cancel(o, self._clock()))
        except AlreadySent:
            raise _refusal(
                operation,
                "Its command was sent to the machine: from there on it cannot be called back. "
                "Watch the operation to its end.",
            ) from None
        except WrongState:
            raise _refusal(operation, "It has ended.") from None


def _refusal(operation: UUID, why: str) -> ApiError:
    name = f"operations/{operation}"
    return ApiError(
        Reason.NOT_CANCELLABLE, f"{name} cannot be cancelled. {why}", metadata={"operation": name}
    )
