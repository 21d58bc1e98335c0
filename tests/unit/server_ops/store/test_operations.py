import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import insert

from services.runtime.database import Database, migrate
from services.server_ops.__main__ import MIGRATIONS
from services.server_ops.operations.operation import (
    Failure,
    Fault,
    Kind,
    Operation,
    Step,
    begin_step,
    fail,
    succeed,
)
from services.server_ops.operations.repository import RequestIdReused, ServerHeld
from services.server_ops.operations.states import State
from services.server_ops.operations.tidy import TidyOperations
from services.server_ops.store.operations import SqlOperations
from services.server_ops.store.tables import OperationRow

NOW = datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)


OLD_COLUMNS = {
    *("id", "kind", "server", "account", "parameters", "state", "steps", "failure", "result"),
    *("create_time", "update_time", "end_time", "sent"),
}
"""Those of the version before that are called as in the operation."""


def operation(**changes: Any) -> Operation:
    return replace(
        Operation(
            id=uuid4(),
            kind=Kind.REBOOT,
            server="ns1.example.net",
            account="demo",
            caller="0" * 16,
            caller_kind="CUSTOMER",
            parameters={"mode": "HARD"},
            request_id="",
            steps=(Step("look"), Step("send")),
            state=State.PENDING,
            create_time=NOW,
            update_time=NOW,
        ),
        **changes,
    )


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    await asyncio.to_thread(migrate, database_url, MIGRATIONS)
    database = Database(database_url)
    yield database
    await database.close()


@pytest.fixture
def operations(database: Database) -> SqlOperations:
    return SqlOperations(database)


async def test_what_is_kept_is_what_is_found(operations: SqlOperations) -> None:
    kept, new = await operations.accept(operation(request_id="a"))
    assert new
    assert await operations.find(kept.id) == kept
    begun = await operations.update(kept.id, lambda o: begin_step(o, 0, NOW))
    failure = Failure("BMC_REFUSED", "no", Fault.PROVIDER, {"completion_code": "0xd5"})
    failed = await operations.update(kept.id, lambda o: fail(o, failure, NOW))
    assert begun.steps[0].start_time == NOW
    assert await operations.find(kept.id) == failed


async def test_what_a_process_of_the_version_before_keeps_is_found(
    operations: SqlOperations, database: Database
) -> None:
    made = operation(steps=())
    columns = {name: value for name, value in vars(made).items() if name in OLD_COLUMNS}
    async with database.write() as session:
        await session.execute(
            insert(OperationRow).values(key_id=made.caller, request_id=None, **columns)
        )
    assert await operations.find(made.id) == replace(made, caller_kind="AUDIENCE_UNSPECIFIED")


async def test_of_a_hundred_at_once_one_holds_the_server_and_the_others_learn_which(
    operations: SqlOperations,
) -> None:
    results = await asyncio.gather(
        *(operations.accept(operation()) for _ in range(100)), return_exceptions=True
    )
    accepted = [result[0] for result in results if isinstance(result, tuple)]
    held = [result for result in results if isinstance(result, ServerHeld)]
    assert (len(accepted), len(held)) == (1, 99)
    assert {refusal.holder.id for refusal in held} == {accepted[0].id}


async def test_the_server_is_free_when_the_operation_ended(operations: SqlOperations) -> None:
    first, _ = await operations.accept(operation())
    await operations.update(first.id, lambda o: begin_step(o, 0, NOW))
    await operations.update(first.id, lambda o: succeed(o, {}, NOW))
    assert await operations.unfinished() == []
    second, new = await operations.accept(operation())
    assert new
    assert await operations.unfinished() == [second]


async def test_the_same_request_gives_the_same_operation_also_at_once(
    operations: SqlOperations,
) -> None:
    results = await asyncio.gather(
        *(operations.accept(operation(request_id="same")) for _ in range(50))
    )
    assert len({accepted.id for accepted, _ in results}) == 1
    assert sum(new for _, new in results) == 1


async def test_the_same_request_gives_the_same_operation_after_it_ended(
    operations: SqlOperations,
) -> None:
    first, _ = await operations.accept(operation(request_id="same"))
    await operations.update(first.id, lambda o: fail(o, Failure("INTERNAL", "", Fault.NONE), NOW))
    again, new = await operations.accept(operation(request_id="same"))
    assert (again.id, new) == (first.id, False)


async def test_a_request_id_with_other_parameters_is_refused(operations: SqlOperations) -> None:
    await operations.accept(operation(request_id="same"))
    with pytest.raises(RequestIdReused):
        await operations.accept(operation(request_id="same", parameters={"mode": "POWER_CYCLE"}))


async def test_another_account_has_request_ids_of_its_own(operations: SqlOperations) -> None:
    await operations.accept(operation(request_id="same"))
    other = operation(request_id="same", account="other", server="ns2.example.net")
    assert (await operations.accept(other))[1]


async def test_another_caller_of_the_account_has_request_ids_of_its_own(
    operations: SqlOperations,
) -> None:
    first, _ = await operations.accept(operation(request_id="same"))
    elsewhere = operation(request_id="same", caller="1" * 16, server="ns2.example.net")
    assert (await operations.accept(elsewhere))[1]
    with pytest.raises(ServerHeld) as held:
        await operations.accept(operation(request_id="same", caller="2" * 16))
    assert held.value.holder == first
    assert await operations.accept(operation(request_id="same")) == (first, False)


async def test_what_ended_long_ago_is_removed_and_its_request_id_is_free(
    operations: SqlOperations,
) -> None:
    forgotten: list[UUID] = []

    async def forget(ended: list[UUID]) -> None:
        forgotten.extend(ended)

    async def ended(name: str, time: datetime | None) -> UUID:
        kept, _ = await operations.accept(operation(server=f"{name}.example.net", request_id=name))
        if time is not None:
            failure = Failure("BMC_REFUSED", "", Fault.PROVIDER, {})
            await operations.update(kept.id, lambda o: fail(o, failure, time))
        return kept.id

    old, new = await ended("old", NOW), await ended("new", NOW + timedelta(days=2))
    running = await ended("running", None)
    tidy = TidyOperations(operations, forget, lambda: NOW + timedelta(days=31), timedelta(days=30))
    await tidy()
    assert forgotten == [old]
    assert await operations.find(old) is None
    assert await operations.find(new)
    assert await operations.find(running)
    again, is_new = await operations.accept(operation(request_id="old", parameters={}))
    assert is_new
    assert again.id != old
