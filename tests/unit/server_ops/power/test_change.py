"""Switching a machine in memory on and off."""

import pytest

from services.server_ops.bmc.command import ChassisCommand
from services.server_ops.bmc.observation import PowerState
from services.server_ops.operations.operation import Kind
from services.server_ops.operations.states import State, StepState
from services.server_ops.power.change import STEPS
from tests.unit.server_ops.bmc.fake_bmc import Trouble
from tests.unit.server_ops.operations.running import Running, running

ON, OFF = PowerState.ON, PowerState.OFF


def changing(action: str) -> Running:
    return running(Kind.POWER, STEPS, action=action, shutdown_seconds="30")


@pytest.mark.parametrize(
    ("before", "action", "command", "after"),
    [
        (OFF, "ON", ChassisCommand.POWER_ON, ON),
        (ON, "OFF", ChassisCommand.POWER_OFF, OFF),
        (ON, "SOFT_OFF", ChassisCommand.SOFT_SHUTDOWN, OFF),
        (ON, "CYCLE", ChassisCommand.POWER_CYCLE, ON),
    ],
)
async def test_one_command_is_sent_and_the_change_is_seen(
    before: PowerState, action: str, command: ChassisCommand, after: PowerState
) -> None:
    change = changing(action)
    change.machine.power = before
    await change.run()
    assert change.machine.executed == [command]
    assert change.operation.state == State.SUCCEEDED
    assert {**change.operation.result, "observe_time": ""} == {
        "power": after,
        "changed": "True",
        "observe_time": "",
    }
    assert change.states == [StepState.DONE] * 3


@pytest.mark.parametrize(("power", "action"), [(ON, "ON"), (OFF, "OFF"), (OFF, "SOFT_OFF")])
async def test_a_machine_that_is_as_asked_is_left_alone(power: PowerState, action: str) -> None:
    change = changing(action)
    change.machine.power = power
    await change.run()
    assert change.machine.executed == []
    assert change.operation.result["changed"] == "False"
    assert change.operation.state == State.SUCCEEDED
    assert change.states == [StepState.DONE] * 3


async def test_a_machine_that_is_off_cannot_be_cycled() -> None:
    change = changing("CYCLE")
    change.machine.power = OFF
    await change.run()
    assert (change.machine.executed, change.reason) == ([], "SERVER_POWERED_OFF")


async def test_a_system_that_does_not_shut_down_is_not_switched_off() -> None:
    change = changing("SOFT_OFF")
    change.machine.heeds_the_system = False
    await change.run()
    assert change.machine.executed == [ChassisCommand.SOFT_SHUTDOWN]
    assert (change.machine.power, change.reason) == (ON, "SHUTDOWN_NOT_SEEN")


@pytest.mark.parametrize("action", ["OFF", "CYCLE"])
@pytest.mark.parametrize(
    ("trouble", "executed", "told"),
    [
        (Trouble.LOSES_REQUEST, 0, "OUTCOME_UNKNOWN"),
        (Trouble.LOSES_REPLY, 1, ""),
        (Trouble.REFUSES, 0, "BMC_REFUSED"),
        (Trouble.SILENT, 0, "BMC_UNREACHABLE"),
    ],
)
async def test_what_is_lost_is_settled_by_looking_and_never_sent_again(
    action: str, trouble: Trouble, executed: int, told: str
) -> None:
    change = changing(action)
    change.machine.trouble = trouble
    await change.run()
    assert (len(change.machine.executed), change.reason) == (executed, told)
