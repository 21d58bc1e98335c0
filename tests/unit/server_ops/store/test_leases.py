"""Leases on both databases: one owner, whatever happens at the same time."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from sqlalchemy import update
from sqlalchemy.exc import OperationalError

from services.runtime.database import Database, migrate
from services.server_ops.__main__ import MIGRATIONS
from services.server_ops.adapters.bmc.leases import Leases
from services.server_ops.bmc.endpoint import BmcEndpoint
from services.server_ops.bmc.errors import BmcUnreachable
from services.server_ops.store.leases import SqlLeases
from services.server_ops.store.tables import BmcLeaseRow, InstanceRow

BMC = ("192.0.2.1", 623)
OTHER = ("192.0.2.2", 623)
ENDPOINT = BmcEndpoint(*BMC, b"admin", b"x")
SECONDS = 60.0
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    await asyncio.to_thread(migrate, database_url, MIGRATIONS)
    made = Database(database_url)
    yield made
    await made.close()


async def expire(database: Database) -> None:
    """Every lease runs out, as if its time had passed."""
    async with database.write() as session:
        for table in (BmcLeaseRow, InstanceRow):
            await session.execute(update(table).values(expire_time=LONG_AGO))


async def test_of_many_who_want_a_bmc_at_once_one_has_it(database: Database) -> None:
    stores = [SqlLeases(database, f"process-{number}") for number in range(8)]
    got = await asyncio.gather(*(store.acquire(BMC, SECONDS) for store in stores))
    assert sum(got) == 1
    owner = stores[got.index(True)]
    assert await owner.acquire(BMC, SECONDS), "it is still the owner's"
    assert await stores[got.index(False)].acquire(OTHER, SECONDS), "another one is free"


async def test_a_bmc_changes_hands_when_it_is_given_back_or_its_time_is_over(
    database: Database,
) -> None:
    mine, yours = SqlLeases(database, "mine"), SqlLeases(database, "yours")
    assert await mine.acquire(BMC, SECONDS)
    assert not await yours.acquire(BMC, SECONDS)
    assert (await mine.renew(SECONDS)).wanted == {BMC}
    await yours.release(BMC)
    assert not await yours.acquire(BMC, SECONDS), "nobody gives back what is another's"
    await mine.release(BMC)
    assert await yours.acquire(BMC, SECONDS)
    assert (await mine.renew(SECONDS)).held == frozenset()
    await expire(database)
    assert await mine.acquire(BMC, SECONDS)


async def test_who_cannot_give_back_tidies_up_all_the_same(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where another process holds the one lock on writing: the lease ends by itself."""
    store = SqlLeases(database, "mine")
    leases = Leases(store)
    await leases.own(ENDPOINT)

    async def locked(_: object) -> None:
        raise OperationalError("BEGIN IMMEDIATE", None, Exception("database is locked"))

    monkeypatch.setattr(store, "release", locked)
    await leases.give_back(ENDPOINT)


async def test_who_renews_lives(database: Database) -> None:
    mine, yours = SqlLeases(database, "mine"), SqlLeases(database, "yours")
    await mine.renew(SECONDS)
    await yours.renew(SECONDS)
    assert await mine.living() == {"mine", "yours"}
    await expire(database)
    await mine.renew(SECONDS)
    assert await yours.living() == {"mine"}


async def test_what_was_lost_is_let_go_of_and_asked_for_again(database: Database) -> None:
    now = [0.0]
    mine = Leases(SqlLeases(database, "mine"), lambda: now[0])
    let_go = []

    async def note(key: tuple[str, int]) -> None:
        let_go.append(key)

    mine.let_go = note
    await mine.own(ENDPOINT)
    await mine.renew()
    assert let_go == []
    await expire(database)
    yours = SqlLeases(database, "yours")
    assert await yours.acquire(BMC, SECONDS)
    await mine.renew()
    assert let_go == [BMC]

    def passing() -> float:
        now[0] += 1.0
        return now[0]

    mine._monotonic = passing
    with pytest.raises(BmcUnreachable):
        await mine.own(ENDPOINT)


async def test_a_lease_that_cannot_be_renewed_ends_for_us_before_it_ends_for_others(
    database: Database,
) -> None:
    now = [0.0]
    store = SqlLeases(database, "mine")
    asked = 0
    acquire = store.acquire

    async def counted(key: tuple[str, int], seconds: float) -> bool:
        nonlocal asked
        asked += 1
        return await acquire(key, seconds)

    store.acquire = counted  # type: ignore[method-assign]
    mine = Leases(store, lambda: now[0])
    for moment, times in ((0.0, 1), (9.0, 1), (11.0, 2)):
        now[0] = moment
        await mine.own(ENDPOINT)
        assert asked == times, moment
