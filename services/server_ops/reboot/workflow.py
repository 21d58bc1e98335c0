"""The reboot itself: look, send once, see it happen."""

from collections.abc import Mapping
from enum import StrEnum
from functools import partial

from services.runtime.clock import Clock
from services.server_ops.bmc.command import ChassisCommand
from services.server_ops.bmc.observation import PowerState
from services.server_ops.bmc.proof import Proof
from services.server_ops.operations.workflow import Run
from services.server_ops.power.change import not_shut_down
from services.server_ops.power.chassis import Chassis, ShutDown


class Mode(StrEnum):
    """How a server is restarted."""

    SOFT = "SOFT"
    HARD = "HARD"
    POWER_CYCLE = "POWER_CYCLE"


STEPS = ("check the BMC and the power state", "send the chassis command", "see the machine restart")

SOFT_STEPS = (
    "check the BMC and the power state",
    "ask the operating system to shut down",
    "see the machine switch off",
    "send the chassis command that starts it",
    "see the machine start",
)

_COMMANDS = {
    Mode.HARD: ChassisCommand.HARD_RESET,
    Mode.POWER_CYCLE: ChassisCommand.POWER_CYCLE,
}


class Reboot:
    """What an operation of the kind REBOOT does."""

    def __init__(self, chassis: Chassis, clock: Clock) -> None:
        self._chassis = chassis
        self._clock = clock

    async def __call__(self, run: Run) -> Mapping[str, str]:
        """See workflow.Act: the `proof`, and when it was seen."""
        mode = Mode(run.parameters["mode"])
        proof = await (self._soft(run) if mode is Mode.SOFT else self._hard(run, _COMMANDS[mode]))
        return {"proof": proof.name, "restart_time": self._clock().isoformat()}

    async def _hard(self, run: Run, command: ChassisCommand) -> Proof:
        before = await run.step(0, self._chassis.look_at_running)
        await run.step(1, partial(self._chassis.send, command))
        return await run.step(2, partial(self._chassis.see_restart, before))

    async def _soft(self, run: Run) -> Proof:
        """By the operating system, which is asked; by a reset in the end where that is wanted."""
        chassis = self._chassis
        seconds = float(run.parameters["shutdown_seconds"])
        before = await run.step(0, chassis.look_at_running)
        await run.step(1, partial(chassis.send, ChassisCommand.SOFT_SHUTDOWN))
        came = await run.step(2, partial(chassis.see_shut_down, before, seconds))
        if came is ShutDown.RESTARTED:
            return Proof.EVENT_LOG
        if came is ShutDown.OFF:
            await run.step(3, partial(chassis.send, ChassisCommand.POWER_ON))
            await run.step(4, partial(chassis.see_power, PowerState.ON))
            return Proof.POWER_OFF_THEN_ON
        if run.parameters["fallback"] != Mode.HARD:
            raise not_shut_down(seconds)
        await run.step(3, partial(chassis.send, ChassisCommand.HARD_RESET))
        return await run.step(4, partial(chassis.see_restart, before))
