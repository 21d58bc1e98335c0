"""Switching a machine on or off."""

from collections.abc import Mapping
from enum import StrEnum
from functools import partial

from services.runtime.clock import Clock
from services.server_ops.bmc.command import ChassisCommand
from services.server_ops.bmc.observation import PowerState
from services.server_ops.operations.operation import Fault
from services.server_ops.operations.workflow import Run, failed
from services.server_ops.power.chassis import Chassis, ShutDown

STEPS = ("check the BMC and the power state", "send the chassis command", "see the power change")


class Action(StrEnum):
    """What is done to the power."""

    ON = "ON"
    OFF = "OFF"
    SOFT_OFF = "SOFT_OFF"
    CYCLE = "CYCLE"


_COMMANDS = {
    Action.ON: ChassisCommand.POWER_ON,
    Action.OFF: ChassisCommand.POWER_OFF,
    Action.SOFT_OFF: ChassisCommand.SOFT_SHUTDOWN,
    Action.CYCLE: ChassisCommand.POWER_CYCLE,
}


class ChangePower:
    """What an operation of the kind POWER does."""

    def __init__(self, chassis: Chassis, clock: Clock) -> None:
        self._chassis = chassis
        self._clock = clock

    async def __call__(self, run: Run) -> Mapping[str, str]:
        """See workflow.Act: `power`, whether it was `changed`, and when it was seen."""
        action = Action(run.parameters["action"])
        chassis = self._chassis
        cycle = action is Action.CYCLE
        power = PowerState.ON if action in {Action.ON, Action.CYCLE} else PowerState.OFF
        before = await run.step(0, chassis.look_at_running if cycle else chassis.look)
        if before.power == power and not cycle:
            return self._seen(power, changed=False)
        await run.step(1, partial(chassis.send, _COMMANDS[action]))
        match action:
            case Action.CYCLE:
                await run.step(2, partial(chassis.see_restart, before))
            case Action.SOFT_OFF:
                seconds = float(run.parameters["shutdown_seconds"])
                came = await run.step(2, partial(chassis.see_shut_down, before, seconds))
                if came is not ShutDown.OFF:
                    raise not_shut_down(seconds)
            case _:
                await run.step(2, partial(chassis.see_power, power))
        return self._seen(power, changed=True)

    def _seen(self, power: PowerState, *, changed: bool) -> Mapping[str, str]:
        time = self._clock().isoformat()
        return {"power": power, "changed": str(changed), "observe_time": time}


def not_shut_down(seconds: float) -> Exception:
    """The failure of an operation whose machine did not shut down when it was asked to."""
    text = (
        "The operating system was asked to shut down, and the machine was still on "
        f"{seconds:.0f} s later. It may shut down yet."
    )
    return failed("SHUTDOWN_NOT_SEEN", text, fault=Fault.CUSTOMER)
