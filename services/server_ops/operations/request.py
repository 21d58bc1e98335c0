"""Asking for an operation."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from uuid import UUID

from f2h.access.v1.reason_pb2 import Reason

from services.runtime.clock import Clock
from services.runtime.errors import ApiError
from services.server_ops.inventory.server import Servers, server_busy, view_of
from services.server_ops.operations.operation import Kind, Operation, Step
from services.server_ops.operations.repository import Operations, RequestIdReused, ServerHeld
from services.server_ops.operations.states import State


@dataclass(frozen=True)
class OperationRequest:
    """What a caller asks for."""

    kind: Kind
    hostname: str
    parameters: Mapping[str, str]
    steps: tuple[str, ...]
    """What will be done, in order."""
    account: str
    caller: str
    """Id of the API key or the user that asks."""
    caller_kind: str
    """Which of them it is, a name of AccessRule.Audience."""
    request_id: str
    """Empty when the caller gave none."""


class RequestOperation:
    """Accepts an operation and starts it, or refuses it at once."""

    def __init__(
        self,
        servers: Servers,
        operations: Operations,
        start: Callable[[UUID], Awaitable[None]],
        clock: Clock,
        new_id: Callable[[], UUID],
    ) -> None:
        """`start` begins the workflow of an accepted operation; doing so twice is harmless."""
        self._servers = servers
        self._operations = operations
        self._start = start
        self._clock = clock
        self._new_id = new_id

    async def __call__(self, request: OperationRequest) -> Operation:
        """The operation that was accepted, now or by the same request of the same caller before.

        Raises ApiError: SERVER_NOT_GRANTED, SERVER_BUSY naming the holder, REQUEST_ID_REUSED.
        """
        await view_of(self._servers, request.hostname, request.account)
        now = self._clock()
        operation = Operation(
            id=self._new_id(),
            kind=request.kind,
            server=request.hostname,
            account=request.account,
            caller=request.caller,
            caller_kind=request.caller_kind,
            parameters=request.parameters,
            request_id=request.request_id,
            steps=tuple(Step(name) for name in request.steps),
            state=State.PENDING,
            create_time=now,
            update_time=now,
        )
        try:
            accepted, new = await self._operations.accept(operation)
        except ServerHeld as held:
            holder = held.holder
            doing = f" ({holder.kind}, {holder.state})"
            raise server_busy(holder.server, holder.name, doing) from None
        except RequestIdReused as reused:
            raise ApiError(
                Reason.REQUEST_ID_REUSED,
                f"The request id {request.request_id} was used before with other parameters.",
                metadata={"operation": reused.earlier.name},
            ) from None
        if new:
            await self._start(accepted.id)
        return accepted
