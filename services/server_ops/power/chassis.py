"""What operations do with a machine through its BMC: look, send once, see it happen."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from services.runtime.clock import Clock
from services.server_ops.bmc.boot import BootDevice, BootOverride
from services.server_ops.bmc.command import ChassisCommand
from services.server_ops.bmc.driver import Bmc
from services.server_ops.bmc.endpoint import BmcEndpoint
from services.server_ops.bmc.errors import (
    BmcAuthFailed,
    BmcError,
    BmcRefused,
    BmcUnreachable,
    BmcUnsupported,
)
from services.server_ops.bmc.observation import Observation, PowerState
from services.server_ops.bmc.proof import Proof, restart_proof
from services.server_ops.inventory.server import Servers
from services.server_ops.operations.operation import AlreadySent, Fault, Operation, mark_sent
from services.server_ops.operations.repository import Operations
from services.server_ops.operations.workflow import OperationFailed, failed


@dataclass(frozen=True)
class Patience:
    """How long an operation waits."""

    contact_attempts: int = 4
    """How often the BMC is tried before the operation fails; the command is not among these."""
    contact_pause_seconds: float = 2.0
    restart_seconds: float = 180.0
    """How long after the command the machine may take to show what came of it."""
    takeover_seconds: float = 15.0
    """What is left of that at least for a process that takes over after a crash."""
    poll_seconds: float = 1.0
    """Between two looks at the machine."""


class ShutDown(StrEnum):
    """What came of asking the operating system to shut down."""

    OFF = "OFF"
    RESTARTED = "RESTARTED"
    """It started again by itself."""
    STILL_ON = "STILL_ON"


T = TypeVar("T")

Left = Callable[[str, PowerState], Awaitable[None]]


class Chassis:
    """The steps that operations on a machine are made of."""

    def __init__(
        self,
        servers: Servers,
        operations: Operations,
        bmc: Bmc,
        *,
        clock: Clock,
        patience: Patience,
        left: Left,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`left` is told of the power that an operation left a machine with."""
        self._servers = servers
        self._operations = operations
        self._bmc = bmc
        self._clock = clock
        self._patience = patience
        self._left = left
        self._monotonic = monotonic

    async def look(self, operation: Operation, _index: int) -> Observation:
        """The machine before the command. Raises OperationFailed when its BMC does not answer."""
        endpoint = await self._endpoint(operation)
        return await self._contact(lambda: self._bmc.observe(endpoint))

    async def look_at_running(self, operation: Operation, index: int) -> Observation:
        """As `look`, for a command that does not start a machine: it must be on."""
        seen = await self.look(operation, index)
        if seen.power == PowerState.OFF:
            text = f"{operation.server} is powered off: there is nothing to restart. Power it on."
            raise failed("SERVER_POWERED_OFF", text, fault=Fault.CUSTOMER)
        return seen

    async def power(self, operation: Operation) -> PowerState:
        """Whether the machine has power; UNKNOWN when its BMC does not say."""
        endpoint = await self._endpoint(operation)
        try:
            return await self._bmc.power(endpoint)
        except BmcError:
            return PowerState.UNKNOWN

    async def set_boot(self, device: BootDevice, operation: Operation, _index: int) -> None:
        """Lets the next start of the machine boot from a device. Raises OperationFailed."""
        endpoint = await self._endpoint(operation)
        view = await self._servers.find(operation.server)
        override = BootOverride(device, uefi=view is not None and view.server.uefi)
        try:
            await self._contact(lambda: self._bmc.set_boot(endpoint, override))
        except BmcRefused as refused:
            code = f"0x{refused.completion_code:02x}"
            text = f"The server's BMC refused the boot device (completion code {code})."
            raise failed("BMC_REFUSED", text, completion_code=code) from None
        except BmcUnsupported:
            text = "The server's BMC cannot be told what to boot."
            raise failed("BMC_UNSUPPORTED", text) from None

    async def send(self, command: ChassisCommand, operation: Operation, index: int) -> None:
        """The one command of a step. What came of it is settled by looking, unless it is refused.

        Raises WrongState when the operation was cancelled: then nothing is sent.
        """
        endpoint = await self._endpoint(operation)
        try:
            await self._operations.update(
                operation.id, lambda o: mark_sent(o, index, self._clock())
            )
        except AlreadySent:
            return  # sent, or about to be, before a crash
        try:
            await self._bmc.send_once(endpoint, command)
        except BmcRefused as refused:
            code = f"0x{refused.completion_code:02x}"
            text = f"The server's BMC refused the command (completion code {code})."
            raise failed("BMC_REFUSED", text, completion_code=code) from None
        except BmcUnsupported:
            text = "The server's BMC does not have this command."
            raise failed("BMC_REFUSED", text) from None
        except BmcAuthFailed:
            raise _auth_failed() from None
        except BmcUnreachable:
            # Raised only where the command cannot have left.
            raise failed("BMC_UNREACHABLE", "The server's BMC stopped to answer.") from None

    async def see_restart(self, before: Observation, operation: Operation, _index: int) -> Proof:
        """What showed that the machine restarted."""
        seen: list[Observation] = []
        async for observation in self._looks(operation, before, self._patience.restart_seconds):
            seen.append(observation)
            proof = restart_proof(before, seen)
            if proof is not None:
                await self._left(operation.server, PowerState.ON)
                return proof
        raise self._unknown("restart")

    async def see_power(self, power: PowerState, operation: Operation, _index: int) -> None:
        """Sees the machine switched on or off."""
        seconds = self._patience.restart_seconds
        async for observation in self._looks(operation, None, seconds):
            if observation.power == power:
                await self._left(operation.server, power)
                return
        raise self._unknown("switch on" if power == PowerState.ON else "switch off")

    async def see_shut_down(
        self, before: Observation, seconds: float, operation: Operation, _index: int
    ) -> ShutDown:
        """What the operating system made of being asked to shut down, within so many seconds."""
        seen: list[Observation] = []
        async for observation in self._looks(operation, before, seconds):
            seen.append(observation)
            if observation.power == PowerState.OFF:
                await self._left(operation.server, PowerState.OFF)
                return ShutDown.OFF
            if restart_proof(before, seen) is not None:
                return ShutDown.RESTARTED
        return ShutDown.STILL_ON

    async def _contact(self, call: Callable[[], Awaitable[T]]) -> T:
        """What a call answers that may be made again. Raises OperationFailed, and as the call."""
        for attempt in range(1, self._patience.contact_attempts + 1):
            try:
                return await call()
            except BmcAuthFailed:
                raise _auth_failed() from None
            except BmcUnreachable:
                if attempt == self._patience.contact_attempts:
                    text = "The server's BMC did not answer."
                    raise failed("BMC_UNREACHABLE", text) from None
                await asyncio.sleep(self._patience.contact_pause_seconds * attempt)
        raise AssertionError

    async def _looks(
        self, operation: Operation, before: Observation | None, seconds: float
    ) -> AsyncIterator[Observation]:
        """Looks at the machine until so many seconds after the command."""
        endpoint = await self._endpoint(operation)
        left = operation.seconds_left(seconds, self._clock())
        until = self._monotonic() + max(left, self._patience.takeover_seconds)
        while self._monotonic() < until:
            # A BMC may be deaf for a while when its machine restarts.
            with suppress(BmcError):
                yield await self._bmc.observe(endpoint, since=before.sel if before else None)
            await asyncio.sleep(self._patience.poll_seconds)

    def _unknown(self, what: str) -> OperationFailed:
        seconds = round(self._patience.restart_seconds)
        return failed(
            "OUTCOME_UNKNOWN",
            f"The command was sent once and the machine was not seen to {what} in {seconds} s. "
            "It may or may not have done so; the command is not sent again.",
        )

    async def _endpoint(self, operation: Operation) -> BmcEndpoint:
        endpoint = await self._servers.bmc(operation.server)
        if endpoint is None:
            raise failed("INTERNAL", "The server is no longer in the inventory.")
        return endpoint


def _auth_failed() -> OperationFailed:
    return failed("BMC_AUTH_FAILED", "The server's BMC refused our login.")
