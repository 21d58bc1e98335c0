"""Operations of one machine in memory, run without a database."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

from services.server_ops.bmc.endpoint import BmcEndpoint
from services.server_ops.bmc.observation import PowerState
from services.server_ops.operations.operation import Kind, Operation, Step
from services.server_ops.operations.states import State, StepState
from services.server_ops.operations.workflow import Act, Workflow
from services.server_ops.power.change import ChangePower
from services.server_ops.power.chassis import Chassis, Patience
from services.server_ops.reboot.workflow import Reboot
from tests.unit.server_ops.bmc.fake_bmc import FakeBmc, FakeMachine

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
    """Clocks that move by a second whenever they are looked at."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now

    def monotonic(self) -> float:
        return (self() - NOW).total_seconds()


class KeptOperations:
    """One operation, in memory."""

    def __init__(self, operation: Operation) -> None:
        self.operation = operation

    async def accept(self, operation: Operation) -> tuple[Operation, bool]:
        raise NotImplementedError

    async def find(self, operation: UUID) -> Operation | None:
        return self.operation

    async def update(self, operation: UUID, change: Callable[[Operation], Operation]) -> Operation:
        self.operation = change(self.operation)
        return self.operation

    async def page(
        self, *, server: str, account: str, states: Sequence[State], after: str, limit: int
    ) -> list[Operation]:
        raise NotImplementedError

    async def newest(self, *, server: str, account: str, kind: Kind) -> Operation | None:
        raise NotImplementedError

    async def ended(self, before: datetime, limit: int) -> list[UUID]:
        raise NotImplementedError

    async def delete(self, operations: list[UUID]) -> None:
        raise NotImplementedError

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


@dataclass
class Running:
    """An operation and all it needs."""

    workflow: Workflow
    operations: KeptOperations
    machine: FakeMachine
    bmc: FakeBmc
    steps: Steps
    time: Time
    left: list[tuple[str, PowerState]]
    """What power the machine was left with, and said to be."""

    async def run(self) -> None:
        """Runs it to its end."""
        await self.workflow.run(ID)

    @property
    def operation(self) -> Operation:
        return self.operations.operation

    @operation.setter
    def operation(self, value: Operation) -> None:
        self.operations.operation = value

    @property
    def states(self) -> list[StepState]:
        return [step.state for step in self.operation.steps]

    @property
    def reason(self) -> str:
        """Why it failed; empty when it did not."""
        return self.operation.failure.reason if self.operation.failure else ""


def running(kind: Kind, steps: tuple[str, ...], **parameters: str) -> Running:
    """An operation that was just accepted."""
    operation = Operation(
        id=ID,
        kind=kind,
        server="ns1.example.net",
        account="demo",
        caller="0" * 16,
        caller_kind="CUSTOMER",
        parameters=parameters,
        request_id="",
        steps=tuple(Step(name) for name in steps),
        state=State.PENDING,
        create_time=NOW,
        update_time=NOW,
    )
    machine = FakeMachine(ENDPOINT)
    operations, bmc, durable, time = KeptOperations(operation), FakeBmc(machine), Steps(), Time()
    inventory: Any = Inventory()
    left: list[tuple[str, PowerState]] = []

    async def leave(hostname: str, power: PowerState) -> None:
        left.append((hostname, power))

    chassis = Chassis(
        inventory,
        operations,
        bmc,
        clock=time,
        patience=PATIENCE,
        left=leave,
        monotonic=time.monotonic,
    )
    acts: dict[Kind, Act] = {
        Kind.REBOOT: Reboot(chassis, time),
        Kind.POWER: ChangePower(chassis, time),
    }
    workflow = Workflow(operations, acts, durable, time)
    return Running(workflow, operations, machine, bmc, durable, time, left)
