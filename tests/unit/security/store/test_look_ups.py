import asyncio
from datetime import timedelta

import pytest

from services.runtime.database import Database
from services.security.antispam.listing import LookUp, SpamhausList
from services.security.antispam.sweep import Swept
from services.security.store.look_ups import AT_A_TIME, SqlLookUps
from tests.unit.security.fakes import NOW, listing

HOUR = timedelta(hours=1)
IP = "203.0.113.9"


@pytest.fixture
def look_ups(database: Database) -> SqlLookUps:
    return SqlLookUps(database)


def looked_up(ip: str = IP, *lists: SpamhausList, unknown: str = "") -> LookUp:
    return LookUp(ip, tuple(map(listing, lists)), unknown, NOW)


async def due(look_ups: SqlLookUps, hours: float = 1, limit: int = 10_000) -> list[Swept]:
    """What is due so many hours after NOW."""
    return await look_ups.claim_due(NOW + hours * HOUR, HOUR, limit)


async def test_a_new_address_is_due_within_the_interval_and_nothing_is_known_of_it(
    look_ups: SqlLookUps,
) -> None:
    await look_ups.refresh([IP], NOW, HOUR)
    assert await due(look_ups, 0) == []
    assert await due(look_ups, 1) == [Swept(IP, ())]


async def test_new_addresses_are_spread_over_the_interval(look_ups: SqlLookUps) -> None:
    ips = [f"198.51.{number // 250}.{number % 250}" for number in range(2 * AT_A_TIME)]
    await look_ups.refresh(ips, NOW, HOUR)
    parts = [len(await due(look_ups, quarter / 4)) for quarter in range(1, 5)]
    assert sum(parts) == len(ips)
    assert min(parts) > len(ips) / 4 * 0.7


async def test_what_was_claimed_is_due_again_after_the_interval(look_ups: SqlLookUps) -> None:
    await look_ups.refresh([IP], NOW, HOUR)
    assert len(await due(look_ups, 1)) == 1
    assert await due(look_ups, 1) == []
    assert await due(look_ups, 1.999) == []
    assert len(await due(look_ups, 2)) == 1


async def test_no_more_are_claimed_than_asked_for_the_longest_due_first(
    look_ups: SqlLookUps,
) -> None:
    await look_ups.refresh(["203.0.113.1"], NOW, timedelta(0))
    await look_ups.refresh(["203.0.113.1", "203.0.113.2"], NOW + HOUR, timedelta(0))
    first, second, rest = [await due(look_ups, 2, limit=1) for _ in range(3)]
    assert [each.ip for each in (*first, *second)] == ["203.0.113.1", "203.0.113.2"]
    assert rest == []


async def test_what_was_found_is_told_with_the_next_claim(look_ups: SqlLookUps) -> None:
    await look_ups.refresh([IP, "2001:db8::9"], NOW, timedelta(0))
    found = [looked_up(IP, SpamhausList.XBL, SpamhausList.CSS), looked_up("2001:db8::9")]
    await look_ups.found(found)
    claimed = await due(look_ups)
    assert sorted(claimed, key=lambda each: each.ip) == [
        Swept("2001:db8::9", ()),
        Swept(IP, ("CSS", "XBL")),
    ]


async def test_where_it_is_not_known_what_was_known_stays(look_ups: SqlLookUps) -> None:
    await look_ups.refresh([IP, "203.0.113.10"], NOW, timedelta(0))
    await look_ups.found([looked_up(IP, SpamhausList.XBL)])
    silent = "The resolver does not answer."
    await look_ups.found([looked_up(ip, unknown=silent) for ip in (IP, "203.0.113.10")])
    await look_ups.found([])
    claimed = await due(look_ups)
    assert sorted(claimed, key=lambda each: each.ip) == [
        Swept("203.0.113.10", ()),
        Swept(IP, ("XBL",)),
    ]


async def test_a_refresh_keeps_what_is_known_of_who_stays_and_forgets_who_is_gone(
    look_ups: SqlLookUps,
) -> None:
    await look_ups.refresh([IP, "203.0.113.10"], NOW, timedelta(0))
    await look_ups.found([looked_up(ip, SpamhausList.XBL) for ip in (IP, "203.0.113.10")])
    await look_ups.refresh([IP], NOW, timedelta(0))
    assert await due(look_ups) == [Swept(IP, ("XBL",))]
    await look_ups.refresh([IP, "203.0.113.10"], NOW, timedelta(0))
    assert await due(look_ups) == [Swept("203.0.113.10", ())]


async def test_a_refresh_changes_nothing_of_when_who_stays_is_due(look_ups: SqlLookUps) -> None:
    await look_ups.refresh([IP], NOW, HOUR)
    for quarter in range(4):
        await look_ups.refresh([IP], NOW + quarter / 4 * HOUR, HOUR)
    assert len(await due(look_ups, 1)) == 1


async def test_large_inventories_come_and_go(look_ups: SqlLookUps) -> None:
    ips = [f"198.51.{number // 250}.{number % 250}" for number in range(2 * AT_A_TIME + 1)]
    await look_ups.refresh(ips, NOW, timedelta(0))
    assert len(await due(look_ups)) == len(ips)
    await look_ups.refresh(ips[:1], NOW, timedelta(0))
    assert [each.ip for each in await due(look_ups, 3)] == ips[:1]


async def test_of_who_was_deleted_meanwhile_nothing_is_kept(look_ups: SqlLookUps) -> None:
    await look_ups.found([looked_up(IP, SpamhausList.XBL)])
    await look_ups.refresh([IP], NOW, timedelta(0))
    assert await due(look_ups) == [Swept(IP, ())]


async def test_processes_that_refresh_at_once_keep_each_address_once(
    look_ups: SqlLookUps, database_url: str
) -> None:
    ips = [f"198.51.{number // 250}.{number % 250}" for number in range(2 * AT_A_TIME + 1)]
    others = [Database(database_url) for _ in range(3)]
    try:
        for kept in (ips, ips[:AT_A_TIME], ips):
            await asyncio.gather(
                *(SqlLookUps(each).refresh(kept, NOW, timedelta(0)) for each in others)
            )
            claimed = await look_ups.claim_due(NOW, timedelta(0), 10_000)
            assert sorted(each.ip for each in claimed) == sorted(kept)
    finally:
        for each in others:
            await each.close()


async def test_processes_that_claim_at_once_share_what_is_due(look_ups: SqlLookUps) -> None:
    ips = [f"198.51.100.{number}" for number in range(100)]
    await look_ups.refresh(ips, NOW, timedelta(0))
    parts = await asyncio.gather(*(due(look_ups, limit=30) for _ in range(4)))
    claimed = [each.ip for part in parts for each in part]
    assert len(claimed) == len(set(claimed))
    rest = await due(look_ups)
    assert sorted([*claimed, *(each.ip for each in rest)]) == sorted(ips)
