import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from services.auth.sign_in.throttle import ADDRESS, USER, Slot
from services.auth.store import MIGRATIONS
from services.auth.store.sign_in_throttle import SqlFailures
from services.runtime.database import Database, migrate

NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
SECOND = timedelta(seconds=1)
A_USER, AN_ADDRESS = Slot("user:a", USER), Slot("address:192.0.2.1", ADDRESS)


@pytest.fixture
async def replicas(database_url: str) -> AsyncIterator[list[SqlFailures]]:
    """Two processes' worth of connections to one database."""
    await asyncio.to_thread(migrate, database_url, MIGRATIONS)
    databases = [Database(database_url) for _ in range(2)]
    yield [SqlFailures(database) for database in databases]
    for database in databases:
        await database.close()


@pytest.fixture
def failures(replicas: list[SqlFailures]) -> SqlFailures:
    return replicas[0]


async def failed(failures: SqlFailures, slot: Slot, times: int, now: datetime = NOW) -> None:
    for _ in range(times):
        assert not (await failures.take([slot], now)).wait


async def wait(failures: SqlFailures, slot: Slot, now: datetime) -> timedelta:
    return (await failures.take([slot], now)).wait


async def test_of_many_at_once_only_the_free_ones_pass_in_all_processes_together(
    replicas: list[SqlFailures],
) -> None:
    both = [A_USER, AN_ADDRESS]
    orders = (both, both[::-1])
    taken = await asyncio.gather(
        *(replicas[turn % 2].take(orders[turn // 2 % 2], NOW) for turn in range(100))
    )
    assert sum(not each.wait for each in taken) == USER.free
    assert {each.wait for each in taken} == {timedelta(), SECOND}


async def test_after_the_free_ones_each_wait_lets_one_pass(replicas: list[SqlFailures]) -> None:
    await failed(replicas[0], A_USER, USER.free)
    now = NOW
    for seconds in (1, 2, 4, 8):
        now += timedelta(seconds=seconds)
        early = await replicas[1].take([A_USER], now - timedelta(milliseconds=1))
        assert early.wait == timedelta(milliseconds=1)
        taken = await asyncio.gather(*(each.take([A_USER], now) for each in replicas * 5))
        assert sum(not each.wait for each in taken) == 1


async def test_who_never_failed_is_not_held_up_by_a_clock_that_is_ahead(
    failures: SqlFailures,
) -> None:
    await failed(failures, A_USER, 1, NOW + timedelta(minutes=1))
    assert not await wait(failures, A_USER, NOW)


async def test_failures_are_forgotten_after_their_time_without_one(failures: SqlFailures) -> None:
    await failed(failures, A_USER, USER.free)
    late = NOW + USER.forgotten
    await failed(failures, A_USER, USER.free, late)
    assert await wait(failures, A_USER, late) == SECOND


async def test_what_is_given_back_does_not_count_and_does_not_keep_old_failures_alive(
    failures: SqlFailures,
) -> None:
    await failed(failures, AN_ADDRESS, ADDRESS.free - 1)
    for hour in range(1, 24):
        now = NOW + timedelta(hours=hour)
        taken = await failures.take([AN_ADDRESS], now)
        assert not taken.wait
        await failures.give_back(AN_ADDRESS.subject, now, taken.before[AN_ADDRESS.subject])
    await failed(failures, AN_ADDRESS, ADDRESS.free, NOW + ADDRESS.forgotten)


async def test_what_is_given_back_leaves_a_later_failure_as_it_is(failures: SqlFailures) -> None:
    await failed(failures, A_USER, USER.free - 1)
    right = await failures.take([A_USER], NOW)
    later = NOW + SECOND
    await failed(failures, A_USER, 1, later)
    await failures.give_back(A_USER.subject, NOW, right.before[A_USER.subject])
    assert await wait(failures, A_USER, later) == SECOND


async def test_many_that_are_given_back_at_once_leave_nothing(replicas: list[SqlFailures]) -> None:
    async def right(failures: SqlFailures) -> None:
        taken = await failures.take([AN_ADDRESS], NOW)
        await failures.give_back(AN_ADDRESS.subject, NOW, taken.before[AN_ADDRESS.subject])

    await asyncio.gather(*(right(each) for each in replicas * 5))
    await failed(replicas[0], AN_ADDRESS, ADDRESS.free)
    assert await wait(replicas[1], AN_ADDRESS, NOW) == SECOND


async def test_what_is_given_back_after_it_was_cleared_is_no_credit(failures: SqlFailures) -> None:
    taken = await failures.take([A_USER], NOW)
    await failures.clear(A_USER.subject)
    await failures.give_back(A_USER.subject, NOW, taken.before[A_USER.subject])
    await failed(failures, A_USER, USER.free)
    assert await wait(failures, A_USER, NOW) == SECOND


async def test_clearing_one_clears_no_other(failures: SqlFailures) -> None:
    await failed(failures, A_USER, USER.free)
    await failures.clear("user:b")
    assert await wait(failures, A_USER, NOW) == SECOND
    await failures.clear(A_USER.subject)
    assert not await wait(failures, A_USER, NOW)


async def test_only_what_does_not_count_any_more_is_removed(failures: SqlFailures) -> None:
    await failed(failures, AN_ADDRESS, ADDRESS.free)
    await failures.forget_old(NOW + ADDRESS.forgotten - SECOND)
    assert await wait(failures, AN_ADDRESS, NOW) == SECOND
    await failures.forget_old(NOW + ADDRESS.forgotten + SECOND)
    assert not await wait(failures, AN_ADDRESS, NOW)
