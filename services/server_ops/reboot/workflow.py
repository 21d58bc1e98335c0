"""The reboot itself: look, send once, see it happen. Survives a crash at any point.

The steps run as durable steps: one that ended is not run again after a crash, one that was under
way is. So the command has a record of its own, written before it is sent: whoever finds the record
does not send, and settles the outcome by looking at the machine.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Protocol, TypeVar
from uuid import UUID

import structlog

from services.runtime.clock import Clock
from services.server_ops.bmc.command import ChassisCommand
from services.server_ops.bmc.driver import Bmc
from services.server_ops.bmc.endpoint import BmcEndpoint
from services.server_ops.bmc.errors import BmcAuthFailed, BmcRefused, BmcUnreachable
from services.server_ops.bmc.observation import Observation, PowerState
from services.server_ops.bmc.proof import Proof, restart_proof
from services.server_ops.inventory.server import Servers
from services.server_ops.operations.operation import (
    Failure,
    Fault,
    Operation,
    WrongState,
    begin_step,
    end_step,
    fail,
    mark_sent,
    succeed,
)
from services.server_ops.operations.repository import Operations
from services.server_ops.reboot.request import Mode

_COMMANDS = {
    Mode.HARD: ChassisCommand.HARD_RESET,
    Mode.POWER_CYCLE: ChassisCommand.POWER_CYCLE,
}

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


@dataclass(frozen=True)
class Patience:
    """How long a reboot waits."""

    contact_attempts: int = 4
    """How often the BMC is tried before the operation fails; the command is not among these."""
    contact_pause_seconds: float = 2.0
    restart_seconds: float = 180.0
    """How long after the command the machine may take to show that it restarted."""
    takeover_seconds: float = 15.0
    """What is left of that at least for a process that takes over after a crash."""
    poll_seconds: float = 1.0
    """Between two looks at the machine."""


class Reboot:
    """The workflow of a reboot."""

    def __init__(
        self,
        servers: Servers,
        operations: Operations,
        bmc: Bmc,
        *,
        durable: Durable,
        clock: Clock,
        patience: Patience,
    ) -> None:
        self._servers = servers
        self._operations = operations
        self._bmc = bmc
        self._durable = durable
        self._clock = clock
        self._patience = patience

    async def run(self, operation: UUID) -> None:
        """Runs the operation to its end, whatever that is."""
        try:
            before = await self._step(operation, 0, self._look)
            await self._step(operation, 1, self._send)
            proof = await self._step(operation, 2, partial(self._see, before))
        except OperationFailed as failed:
            failure = failed.failure
            await self._end(operation, lambda o: fail(o, failure, self._clock()))
            return
        except Exception:
            # Of a fault of ours, or of a database that was away for longer than the steps are tried
            # again. An operation without an end would hold its server for ever.
            log.exception("reboot gave up", operation=str(operation))
            await self._end(operation, self._gave_up)
            return
        result = {"proof": proof.name, "restart_time": self._clock().isoformat()}
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

    async def _step(
        self, operation: UUID, index: int, run: Callable[[Operation], Awaitable[T]]
    ) -> T:
        async def body() -> T:
            begun = await self._operations.update(
                operation, lambda o: begin_step(o, index, self._clock())
            )
            result = await run(begun)
            await self._operations.update(operation, lambda o: end_step(o, index, self._clock()))
            return result

        return await self._durable.step(f"step {index}", body)

    async def _look(self, operation: Operation) -> Observation:
        """The machine before the command. It must be on: a reset does not start a machine."""
        endpoint = await self._endpoint(operation)
        for attempt in range(1, self._patience.contact_attempts + 1):
            try:
                seen = await self._bmc.observe(endpoint)
                break
            except BmcAuthFailed:
                raise _failed("BMC_AUTH_FAILED", "The server's BMC refused our login.") from None
            except BmcUnreachable:
                if attempt == self._patience.contact_attempts:
                    text = "The server's BMC did not answer."
                    raise _failed("BMC_UNREACHABLE", text) from None
                await asyncio.sleep(self._patience.contact_pause_seconds * attempt)
        if seen.power == PowerState.OFF:
            text = f"{operation.server} is powered off: there is nothing to reboot. Power it on."
            raise _failed("SERVER_POWERED_OFF", text, fault=Fault.CUSTOMER)
        return seen

    async def _send(self, operation: Operation) -> None:
        """The one command. What came of it is settled by looking, unless the BMC refused it."""
        endpoint = await self._endpoint(operation)
        try:
            await self._operations.update(operation.id, lambda o: mark_sent(o, self._clock()))
        except WrongState:
            return  # sent, or about to be, before a crash
        command = _COMMANDS[Mode(operation.parameters["mode"])]
        try:
            await self._bmc.send_once(endpoint, command)
        except BmcRefused as refused:
            code = f"0x{refused.completion_code:02x}"
            text = f"The server's BMC refused the command (completion code {code})."
            raise _failed("BMC_REFUSED", text, completion_code=code) from None
        except BmcAuthFailed:
            raise _failed("BMC_AUTH_FAILED", "The server's BMC refused our login.") from None
        except BmcUnreachable:
            # Raised only where the command cannot have left.
            raise _failed("BMC_UNREACHABLE", "The server's BMC stopped to answer.") from None

    async def _see(self, before: Observation, operation: Operation) -> Proof:
        """What showed that the machine restarted."""
        endpoint = await self._endpoint(operation)
        now = self._clock()
        sent = operation.sent_time or now
        # A process that takes over after a crash may come late: it still gets its chance to look.
        until = max(
            sent + timedelta(seconds=self._patience.restart_seconds),
            now + timedelta(seconds=self._patience.takeover_seconds),
        )
        seen: list[Observation] = []
        while self._clock() < until:
            try:
                seen.append(await self._bmc.observe(endpoint, since=before.sel))
            except (BmcUnreachable, BmcAuthFailed):
                # A BMC may be deaf for a while when its machine restarts.
                pass
            else:
                proof = restart_proof(before, seen)
                if proof is not None:
                    return proof
            await asyncio.sleep(self._patience.poll_seconds)
        seconds = round(self._patience.restart_seconds)
        raise _failed(
            "OUTCOME_UNKNOWN",
            f"The command was sent once and the machine was not seen to restart in {seconds} s. "
            "It may or may not have restarted; the command is not sent again.",
        )

    async def _endpoint(self, operation: Operation) -> BmcEndpoint:
        endpoint = await self._servers.bmc(operation.server)
        if endpoint is None:
            raise _failed("INTERNAL", "The server is no longer in the inventory.")
        return endpoint

    async def _end(self, operation: UUID, change: Callable[[Operation], Operation]) -> None:
        async def body() -> None:
            try:
                await self._operations.update(operation, change)
            except WrongState:
                return  # it ended before a crash

        await self._durable.step("end", body)


def _failed(
    reason: str, message: str, *, fault: Fault = Fault.PROVIDER, **metadata: str
) -> OperationFailed:
    return OperationFailed(Failure(reason, message, fault, metadata))
