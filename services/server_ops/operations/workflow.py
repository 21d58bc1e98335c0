"""How an operation is run: step by step, each one durable, to an end of its own whatever happens.

A step that ended is not run again after a crash; one that was under way is. So each command that
changes a machine has a record of its own, written before it is sent (`Operation.sent`).
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol, TypeVar
from uuid import UUID

import structlog

from services.runtime.clock import Clock
from services.server_ops.operations.operation import (
    Failure,
    Fault,
    Kind,
    Operation,
    WrongState,
    begin_step,
    end_step,
    fail,
    succeed,
)
from services.server_ops.operations.repository import Operations

T = TypeVar("T")

log = structlog.get_logger()


class Durable(Protocol):
    """Runs steps so that each one's result outlives the process."""

    async def step(self, name: str, run: Callable[[], Awaitable[T]]) -> T:
        """Runs a step, or answers what it answered before a crash."""
        ...


class OperationFailed(Exception):  # noqa: N818 - it says what happened
    """A step ended the operation."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure)
        self.failure = failure


def failed(
    reason: str, message: str, *, fault: Fault = Fault.PROVIDER, **metadata: str
) -> OperationFailed:
    """The failure of a step; `reason` is the name of a value of f2h.access.v1.Reason."""
    return OperationFailed(Failure(reason, message, fault, metadata))


class Run:
    """An operation under way."""

    def __init__(
        self, operation: Operation, operations: Operations, durable: Durable, clock: Clock
    ) -> None:
        self.parameters = operation.parameters
        self.server = operation.server
        self._id = operation.id
        self._operations = operations
        self._durable = durable
        self._clock = clock

    async def step(self, index: int, body: Callable[[Operation, int], Awaitable[T]]) -> T:
        """Runs the operation's step `index`, or answers what it answered before a crash."""

        async def step() -> T:
            begun = await self._operations.update(
                self._id, lambda o: begin_step(o, index, self._clock())
            )
            result = await body(begun, index)
            await self._operations.update(self._id, lambda o: end_step(o, index, self._clock()))
            return result

        return await self._durable.step(f"step {index}", step)


Act = Callable[[Run], Awaitable[Mapping[str, str]]]
"""What an operation of a kind does, in steps; answers its result. Raises OperationFailed."""


class Workflow:
    """Runs operations of every kind."""

    def __init__(
        self, operations: Operations, acts: Mapping[Kind, Act], durable: Durable, clock: Clock
    ) -> None:
        self._operations = operations
        self._acts = acts
        self._durable = durable
        self._clock = clock

    async def run(self, operation: UUID) -> None:
        """Runs the operation to its end, whatever that is."""
        found = await self._operations.find(operation)
        if found is None:
            return
        try:
            run = Run(found, self._operations, self._durable, self._clock)
            result = await self._acts[found.kind](run)
        except OperationFailed as ended:
            failure = ended.failure
            await self._end(operation, lambda o: fail(o, failure, self._clock()))
        except WrongState:
            log.info("operation ended meanwhile", operation=str(operation))  # cancelled
        except Exception:
            # Of a fault of ours, or of a database that was away for longer than the steps are tried
            # again. An operation without an end would hold its server for ever.
            log.exception("operation gave up", operation=str(operation))
            await self._end(operation, self._gave_up)
        else:
            await self._end(operation, lambda o: succeed(o, result, self._clock()))

    async def give_up(self, operation: UUID) -> None:
        """Ends an operation whose workflow ended without ending it."""
        await self._operations.update(operation, self._gave_up)

    def _gave_up(self, operation: Operation) -> Operation:
        sent = operation.sent_time is not None
        failure = Failure(
            "OUTCOME_UNKNOWN" if sent else "INTERNAL",
            "The command was sent once; a fault of ours kept us from seeing what came of it."
            if sent
            else "A fault of ours. The command was not sent.",
            Fault.PROVIDER,
        )
        return fail(operation, failure, self._clock())

    async def _end(self, operation: UUID, change: Callable[[Operation], Operation]) -> None:
        async def body() -> None:
            try:
                await self._operations.update(operation, change)
            except WrongState:
                return  # it ended before a crash, or was cancelled

        await self._durable.step("end", body)
