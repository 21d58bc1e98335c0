"""Whose operations are taken over, and which are left alone."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from services.server_ops.operations.takeover import TakeOver
from tests.unit.server_ops.operations.test_operation import operation

NOW = datetime(2026, 1, 2, tzinfo=UTC)


class Workflows:
    """Remembers what it is asked to do."""

    def __init__(self, runners: dict[int, str | None], lost: set[int]) -> None:
        self._runners = runners
        self._lost = lost
        self.did: list[tuple[str, object]] = []

    async def start(self, operation: UUID) -> None:
        self.did.append(("start", operation.int))

    async def gave_up(self, operation: UUID) -> bool:
        return operation.int in self._lost

    async def runner(self, operation: UUID) -> str | None:
        return self._runners[operation.int]

    async def adopt(self, runner: str) -> None:
        self.did.append(("adopt", runner))

    async def give_up(self, operation: UUID) -> None:
        self.did.append(("give up", operation.int))


@pytest.mark.parametrize(
    ("runners", "lost", "age", "did"),
    [
        ({1: "alive"}, set[int](), 60, []),
        ({1: "gone"}, set[int](), 60, [("adopt", "gone")]),
        ({1: "gone", 2: "gone", 3: "alive"}, set[int](), 60, [("adopt", "gone")]),
        ({1: "alive"}, {1}, 60, [("give up", 1)]),
        ({1: None}, set[int](), 60, [("start", 1)]),
        ({1: None}, set[int](), 5, []),
    ],
)
async def test_only_what_nobody_runs_is_taken_over(
    runners: dict[int, str | None], lost: set[int], age: int, did: list[tuple[str, object]]
) -> None:
    create_time = NOW - timedelta(seconds=age)
    held = [
        replace(operation(), id=UUID(int=number), create_time=create_time) for number in runners
    ]

    class Kept:
        async def unfinished(self) -> object:
            return held

    async def living() -> frozenset[str]:
        return frozenset({"alive"})

    kept: Any = Kept()
    workflows = Workflows(runners, lost)
    await TakeOver(kept, workflows, living, workflows.give_up, lambda: NOW)()
    assert workflows.did == did
