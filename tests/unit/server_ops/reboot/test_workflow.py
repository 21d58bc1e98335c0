"""The reboot's workflow on machines in memory, with every way in which it can end."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

import pytest

from services.server_ops.bmc.command import ChassisCommand
from services.server_ops.bmc.endpoint import BmcEndpoint
from services.server_ops.bmc.observation import PowerState
from services.server_ops.operations.operation import Kind, Operation, Step, mark_sent
from services.server_ops.operations.states import State, StepState
from services.server_ops.reboot.request import STEPS
from services.server_ops.reboot.workflow import Patience, Reboot
from tests.unit.server_ops.bmc.fake_bmc import FakeBmc, FakeMachine, Trouble

T = TypeVar("T")

ID = UUID(int=1)
NOW = datetime(2026, 1, 2, tzinfo=UTC)
ENDPOINT = BmcEndpoint("127.0.0.1", 623, b"admin", b"x")
PATIENCE = Patience(
    contact_attempts=2,
    contact_pause_seconds=0,
    restart_seconds=5,
    takeover_seconds=2,
    poll_seconds=0,
)


class Time:
    """A clock that moves by a second whenever it is looked at."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


class KeptOperations:
    """One operation, in memory."""

    def __init__(self, operation: Operation) -> None:
        self.operation = operation

    async def accept(self, operation: Operation) -> tuple[Operation, bool]:
        raise NotImplementedError

    async def find(self, operation: UUID) -> Operation | None:
        raise NotImplementedError

    async def update(self, operation: UUID, change: Callable[[Operation], Operation]) -> Operation:
        self.operation = change(self.operation)
        return self.operation

    async def unfinished(self) -> list[Operation]:
        raise NotImplementedError


class Steps:
    """Runs steps, and can fail as a database that is away."""

    def __init__(self) -> None:
        self.failing = ""

    async def step(self, name: str, run: Callable[[], Awaitable[T]]) -> T:
        if name == self.failing:
            raise ConnectionError("driver text")
        return await run()


class Inventory:
    """Knows the BMC of every server, unless there is none."""

    endpoint: BmcEndpoint | None = ENDPOINT

    async def bmc(self, hostname: str) -> BmcEndpoint | None:
        return self.endpoint


@pytest.fixture
def machine() -> FakeMachine:
    return FakeMachine(ENDPOINT)


@pytest.fixture
def operations() -> KeptOperations:
    return KeptOperations(
        Operation(
            id=ID,
            kind=Kind.REBOOT,
            server="ns1.example.net",
            account="demo",
            key_id="0" * 16,
            parameters={"mode": "HARD"},
            request_id="",
            steps=tuple(Step(name) for name in STEPS),
            state=State.PENDING,
            create_time=NOW,
            update_time=NOW,
        )
    )


@pytest.fixture
def steps() -> Steps:
    return Steps()


@pytest.fixture
def reboot(machine: FakeMachine, operations: KeptOperations, steps: Steps) -> Reboot:
    inventory: Any = Inventory()
    return Reboot(
        inventory, operations, FakeBmc(machine), durable=steps, clock=Time(), patience=PATIENCE
    )


def states(operations: KeptOperations) -> list[StepState]:
    return [step.state for step in operations.operation.steps]


def reason(operations: KeptOperations) -> str:
    assert operations.operation.failure is not None
    return operations.operation.failure.reason


@pytest.mark.parametrize(
    ("mode", "command"),
    [("HARD", ChassisCommand.HARD_RESET), ("POWER_CYCLE", ChassisCommand.POWER_CYCLE)],
)
async def test_one_command_of_the_mode_is_sent_and_the_restart_proves_it(
    reboot: Reboot,
    machine: FakeMachine,
    operations: KeptOperations,
    mode: str,
    command: ChassisCommand,
) -> None:
    operations.operation = replace(operations.operation, parameters={"mode": mode})
    await reboot.run(ID)
    assert machine.executed == [command]
    assert operations.operation.state == State.SUCCEEDED
    assert operations.operation.result["proof"] == "EVENT_LOG"
    assert states(operations) == [StepState.DONE] * 3


async def test_a_command_that_was_about_to_be_sent_before_a_crash_is_not_sent(
    reboot: Reboot, machine: FakeMachine, operations: KeptOperations
) -> None:
    operations.operation = mark_sent(operations.operation, NOW)
    await reboot.run(ID)
    assert machine.executed == []
    assert reason(operations) == "OUTCOME_UNKNOWN"


@pytest.mark.parametrize(
    ("trouble", "executed", "told"),
    [
        (Trouble.SILENT, 0, "BMC_UNREACHABLE"),
        (Trouble.REFUSES, 0, "BMC_REFUSED"),
        (Trouble.LOSES_REQUEST, 0, "OUTCOME_UNKNOWN"),
        (Trouble.LOSES_REPLY, 1, ""),
    ],
)
async def test_every_trouble_has_its_end(
    reboot: Reboot,
    machine: FakeMachine,
    operations: KeptOperations,
    trouble: Trouble,
    executed: int,
    told: str,
) -> None:
    machine.trouble = trouble
    await reboot.run(ID)
    assert len(machine.executed) == executed
    if told:
        assert reason(operations) == told
    else:
        assert operations.operation.state == State.SUCCEEDED


async def test_a_machine_that_is_off_is_the_customers_to_switch_on(
    reboot: Reboot, machine: FakeMachine, operations: KeptOperations
) -> None:
    machine.power = PowerState.OFF
    await reboot.run(ID)
    assert (machine.executed, reason(operations)) == ([], "SERVER_POWERED_OFF")
    assert states(operations) == [StepState.ERROR, StepState.TODO, StepState.TODO]


@pytest.mark.parametrize(
    ("step", "told"),
    [("step 0", "INTERNAL"), ("step 1", "INTERNAL"), ("step 2", "OUTCOME_UNKNOWN")],
)
async def test_a_fault_of_ours_ends_the_operation_and_says_whether_the_command_was_sent(
    reboot: Reboot, operations: KeptOperations, steps: Steps, step: str, told: str
) -> None:
    steps.failing = step
    await reboot.run(ID)
    assert reason(operations) == told
    assert operations.operation.failure is not None
    assert "driver text" not in operations.operation.failure.message


async def test_an_operation_whose_workflow_is_lost_is_ended(
    reboot: Reboot, operations: KeptOperations
) -> None:
    await reboot.give_up(ID)
    assert (operations.operation.state, reason(operations)) == (State.FAILED, "INTERNAL")
