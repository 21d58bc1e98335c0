"""A reboot on a machine in memory, with every way in which it can end."""

from collections.abc import Callable

import pytest

from services.server_ops.bmc.command import ChassisCommand
from services.server_ops.bmc.observation import PowerState
from services.server_ops.operations.operation import Kind, begin_step, cancel, mark_sent
from services.server_ops.operations.states import State, StepState
from services.server_ops.reboot.workflow import SOFT_STEPS, STEPS
from tests.unit.server_ops.bmc.fake_bmc import Trouble
from tests.unit.server_ops.operations.running import ID, NOW, Running, running


def rebooting(mode: str = "HARD") -> Running:
    return running(Kind.REBOOT, STEPS, mode=mode)


def soft(fallback: str = "") -> Running:
    return running(Kind.REBOOT, SOFT_STEPS, mode="SOFT", shutdown_seconds="30", fallback=fallback)


@pytest.mark.parametrize(
    ("mode", "command"),
    [("HARD", ChassisCommand.HARD_RESET), ("POWER_CYCLE", ChassisCommand.POWER_CYCLE)],
)
async def test_one_command_of_the_mode_is_sent_and_the_restart_proves_it(
    mode: str, command: ChassisCommand
) -> None:
    reboot = rebooting(mode)
    await reboot.run()
    assert reboot.machine.executed == [command]
    assert reboot.operation.state == State.SUCCEEDED
    assert reboot.operation.result["proof"] == "EVENT_LOG"
    assert reboot.states == [StepState.DONE] * 3


async def test_a_command_that_was_about_to_be_sent_before_a_crash_is_not_sent() -> None:
    reboot = rebooting()
    reboot.operation = mark_sent(begin_step(reboot.operation, 1, NOW), 1, NOW)
    await reboot.run()
    assert reboot.machine.executed == []
    assert reboot.reason == "OUTCOME_UNKNOWN"


@pytest.mark.parametrize(
    ("trouble", "executed", "told"),
    [
        (Trouble.SILENT, 0, "BMC_UNREACHABLE"),
        (Trouble.REFUSES, 0, "BMC_REFUSED"),
        (Trouble.LOSES_REQUEST, 0, "OUTCOME_UNKNOWN"),
        (Trouble.LOSES_REPLY, 1, ""),
    ],
)
async def test_every_trouble_has_its_end(trouble: Trouble, executed: int, told: str) -> None:
    reboot = rebooting()
    reboot.machine.trouble = trouble
    await reboot.run()
    assert len(reboot.machine.executed) == executed
    assert reboot.reason == told
    assert reboot.operation.state == (State.FAILED if told else State.SUCCEEDED)


@pytest.mark.parametrize("make", [rebooting, soft])
async def test_a_machine_that_is_off_is_the_customers_to_switch_on(
    make: Callable[[], Running],
) -> None:
    reboot = make()
    reboot.machine.power = PowerState.OFF
    await reboot.run()
    assert (reboot.machine.executed, reboot.reason) == ([], "SERVER_POWERED_OFF")
    assert reboot.states[:2] == [StepState.ERROR, StepState.TODO]


@pytest.mark.parametrize(
    ("step", "told"),
    [("step 0", "INTERNAL"), ("step 1", "INTERNAL"), ("step 2", "OUTCOME_UNKNOWN")],
)
async def test_a_fault_of_ours_ends_the_operation_and_says_whether_the_command_was_sent(
    step: str, told: str
) -> None:
    reboot = rebooting()
    reboot.steps.failing = step
    await reboot.run()
    assert reboot.reason == told
    assert reboot.operation.failure is not None
    assert "driver text" not in reboot.operation.failure.message


async def test_an_operation_whose_workflow_is_lost_is_ended() -> None:
    reboot = rebooting()
    await reboot.workflow.give_up(ID)
    assert (reboot.operation.state, reboot.reason) == (State.FAILED, "INTERNAL")


async def test_what_was_cancelled_sends_nothing_and_stays_cancelled() -> None:
    reboot = rebooting()
    looked = reboot.bmc.observe

    async def cancelled_meanwhile(*arguments: object) -> object:
        reboot.operation = cancel(reboot.operation, NOW)
        return await looked(*arguments)  # type: ignore[arg-type]

    reboot.bmc.observe = cancelled_meanwhile  # type: ignore[method-assign, assignment]
    await reboot.run()
    assert reboot.machine.executed == []
    assert reboot.operation.state == State.CANCELLED
    assert reboot.states == [StepState.TODO] * 3


async def test_cancelled_between_the_look_and_the_command_nothing_is_sent() -> None:
    reboot = rebooting()
    step = reboot.steps.step

    async def cancelling(name: str, run: object) -> object:
        if name == "step 1":
            reboot.operation = cancel(reboot.operation, NOW)
        return await step(name, run)  # type: ignore[arg-type]

    reboot.steps.step = cancelling  # type: ignore[method-assign, assignment]
    await reboot.run()
    assert (reboot.machine.executed, reboot.operation.state) == ([], State.CANCELLED)


async def test_a_soft_reboot_shuts_down_and_switches_on() -> None:
    reboot = soft()
    await reboot.run()
    assert reboot.machine.executed == [ChassisCommand.SOFT_SHUTDOWN, ChassisCommand.POWER_ON]
    assert reboot.operation.result["proof"] == "POWER_OFF_THEN_ON"
    assert reboot.states == [StepState.DONE] * 5


async def test_a_system_that_does_not_shut_down_is_left_alone_unless_a_reset_was_asked_for() -> (
    None
):
    reboot = soft()
    reboot.machine.heeds_the_system = False
    await reboot.run()
    assert reboot.machine.executed == [ChassisCommand.SOFT_SHUTDOWN]
    assert reboot.reason == "SHUTDOWN_NOT_SEEN"
    assert reboot.operation.failure is not None
    assert reboot.operation.failure.fault == "CUSTOMER"
    forced = soft("HARD")
    forced.machine.heeds_the_system = False
    await forced.run()
    assert forced.machine.executed == [ChassisCommand.SOFT_SHUTDOWN, ChassisCommand.HARD_RESET]
    assert forced.operation.result["proof"] == "EVENT_LOG"


@pytest.mark.parametrize(("sent", "left"), [({1}, ["POWER_ON"]), ({1, 3}, [])])
async def test_no_command_of_a_soft_reboot_is_sent_again_after_a_crash(
    sent: set[int], left: list[str]
) -> None:
    reboot = soft()
    begun = begin_step(reboot.operation, 1, NOW)
    for index in sorted(sent):
        begun = mark_sent(begun, index, NOW)
    reboot.operation = begun
    reboot.machine.goes_off_after_looks = 2  # it had heard of it before the crash
    await reboot.run()
    assert [each.name for each in reboot.machine.executed] == left
