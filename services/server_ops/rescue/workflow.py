"""Entering and leaving the rescue system: look, prepare, restart once, see it happen."""

import asyncio
import secrets
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial

from services.runtime.clock import Clock
from services.server_ops.bmc.boot import BootDevice
from services.server_ops.bmc.command import ChassisCommand
from services.server_ops.bmc.observation import Observation, PowerState
from services.server_ops.netboot.boot import Access
from services.server_ops.netboot.netboot import BootType
from services.server_ops.netboot.steps import BootSteps, Gone
from services.server_ops.operations.operation import Operation
from services.server_ops.operations.workflow import Run
from services.server_ops.power.chassis import Chassis
from services.server_ops.rescue.rescue import Rescues

ENTER_STEPS = (
    "check the image, the BMC and the power state",
    "prepare the network boot",
    "let the machine boot from the network once",
    "restart the machine",
    "see the rescue system call home",
)

EXIT_STEPS = (
    "check the BMC and the power state",
    "let the machine boot what it did before",
    "restart the machine",
    "see the machine restart",
    "see that the rescue system is gone",
)


class EnterRescue:
    """What an operation of the kind RESCUE_ENTER does."""

    def __init__(
        self, chassis: Chassis, boots: BootSteps, hash_password: Callable[[str], str]
    ) -> None:
        """`hash_password` makes what crypt(3) compares with."""
        self._chassis = chassis
        self._boots = boots
        self._hash_password = hash_password

    async def __call__(self, run: Run) -> Mapping[str, str]:
        """See workflow.Act: the `ssh_host_keys`, a line each, and the `ready_time`."""
        before = await run.step(0, self._check)
        await run.step(1, self._plan)
        await run.step(2, partial(self._chassis.set_boot, BootDevice.NETWORK))
        await run.step(3, partial(self._chassis.send, start_command(before)))
        ready = await run.step(4, self._boots.ready)
        return {
            "ssh_host_keys": "\n".join(ready.ssh_host_keys),
            "ready_time": ready.ready_time.isoformat() if ready.ready_time else "",
        }

    async def _check(self, operation: Operation, index: int) -> Observation:
        image = await self._boots.image(operation.parameters["image"])
        await self._boots.verify(image.name, *image.files)
        return await self._chassis.look(operation, index)

    async def _plan(self, operation: Operation, _index: int) -> None:
        image = await self._boots.image(operation.parameters["image"])
        keys = tuple(operation.parameters["ssh_keys"].splitlines())
        password = "" if keys else secrets.token_urlsafe(12)
        hashed = await asyncio.to_thread(self._hash_password, password) if password else ""
        access = Access(keys, hashed, password)
        await self._boots.plan(operation, BootType.RESCUE, image, access)


class ExitRescue:
    """What an operation of the kind RESCUE_EXIT does."""

    def __init__(self, chassis: Chassis, boots: BootSteps, rescues: Rescues, clock: Clock) -> None:
        self._chassis = chassis
        self._boots = boots
        self._rescues = rescues
        self._clock = clock

    async def __call__(self, run: Run) -> Mapping[str, str]:
        """See workflow.Act: the `proof` that the rescue system is gone, and the `exit_time`."""
        before = await run.step(0, self._chassis.look)
        await run.step(1, self._unplan)
        await run.step(2, partial(self._chassis.send, start_command(before)))
        restart_time = await run.step(3, partial(self._restarted, before))
        proof = await run.step(4, partial(self._gone, restart_time))
        return {"proof": proof, "exit_time": self._clock().isoformat()}

    async def _unplan(self, operation: Operation, index: int) -> None:
        device = await self._boots.unplan(operation)
        await self._chassis.set_boot(device, operation, index)

    async def _restarted(self, before: Observation, operation: Operation, index: int) -> datetime:
        if before.power == PowerState.OFF:
            await self._chassis.see_power(PowerState.ON, operation, index)
        else:
            await self._chassis.see_restart(before, operation, index)
        return self._clock()

    async def _gone(self, restart_time: datetime, operation: Operation, _index: int) -> Gone:
        rescue = await self._rescues.find(operation.server)
        return await self._boots.gone(rescue.entered_by, restart_time, operation)


def start_command(before: Observation) -> ChassisCommand:
    """What starts a machine anew, whether it is on or off."""
    if before.power == PowerState.OFF:
        return ChassisCommand.POWER_ON
    return ChassisCommand.POWER_CYCLE
