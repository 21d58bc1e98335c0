import asyncio
from datetime import timedelta

import pytest

from services.runtime.database import Database
from services.security.antihack.fail2ban import Ban
from services.security.store.ban_counts import SqlBanCounts
from tests.unit.security.fakes import NOW

JAIL = "sshd-203.0.113.9"
IP = "198.51.100.7"


@pytest.fixture
def counts(database: Database) -> SqlBanCounts:
    return SqlBanCounts(database)


def ban(hours: float = 0, ip: str = IP, jail: str = JAIL) -> Ban:
    """A ban that began so many hours after NOW."""
    return Ban(ip, jail, NOW + timedelta(hours=hours), None)


async def before(counts: SqlBanCounts, asked: Ban, gateway: str = "gw1") -> int:
    found = await counts.before([(gateway, asked)])
    return found.get((gateway, asked.jail, asked.ip), 0)


async def test_an_address_that_was_never_counted_had_no_ban_before(counts: SqlBanCounts) -> None:
    assert await counts.before([("gw1", ban())]) == {}
    assert await counts.before([]) == {}


async def test_a_ban_is_not_before_itself(counts: SqlBanCounts) -> None:
    await counts.count("gw1", [ban()])
    assert await before(counts, ban()) == 0


async def test_a_ban_is_counted_once_however_often_it_is_counted(counts: SqlBanCounts) -> None:
    for _ in range(3):
        await counts.count("gw1", [ban(), ban()])
    assert await before(counts, ban(1)) == 1


async def test_each_newer_ban_counts(counts: SqlBanCounts) -> None:
    for hours in range(4):
        await counts.count("gw1", [ban(hours)])
    assert await before(counts, ban(3)) == 3
    assert await before(counts, ban(4)) == 4  # one that is seen before it was counted


async def test_an_older_ban_does_not_count_again(counts: SqlBanCounts) -> None:
    await counts.count("gw1", [ban(2)])
    await counts.count("gw1", [ban(1)])
    assert await before(counts, ban(3)) == 1


async def test_gateways_jails_and_addresses_are_counted_apart(counts: SqlBanCounts) -> None:
    other_ip, other_jail = ban(ip="198.51.100.70"), ban(jail="postfix-203.0.113.9")
    await counts.count("gw1", [ban(), other_ip, other_jail])
    await counts.count("gw1", [ban(1)])
    await counts.count("gw2", [ban()])
    found = await counts.before(
        [("gw1", ban(1)), ("gw1", other_ip), ("gw1", other_jail), ("gw2", ban(1)), ("gw3", ban())]
    )
    assert found == {
        ("gw1", JAIL, IP): 1,
        ("gw1", JAIL, "198.51.100.70"): 0,
        ("gw1", "postfix-203.0.113.9", IP): 0,
        ("gw2", JAIL, IP): 1,
    }


async def test_networks_and_ipv6_addresses_are_counted_too(counts: SqlBanCounts) -> None:
    for ip in ("198.51.100.0/24", "2001:db8:1::7"):
        await counts.count("gw1", [ban(ip=ip)])
        assert await before(counts, ban(1, ip=ip)) == 1


async def test_a_full_page_is_asked_for_at_once(counts: SqlBanCounts) -> None:
    bans = [ban(ip=f"198.51.{number // 250}.{number % 250}") for number in range(1000)]
    await counts.count("gw1", bans)
    assert len(await counts.before(("gw1", each) for each in bans)) == 1000


async def test_processes_that_count_the_same_at_once_count_it_once(counts: SqlBanCounts) -> None:
    bans = [ban(ip=f"198.51.100.{number}") for number in range(200)]
    orders = [bans, bans[::-1]] * 3
    await asyncio.gather(*(counts.count("gw1", order) for order in orders))
    found = await counts.before(("gw1", ban(1, ip=each.ip)) for each in bans)
    assert {*found.values()} == {1}


async def test_nothing_to_count_is_no_error(counts: SqlBanCounts) -> None:
    await counts.count("gw1", [])


async def test_only_addresses_that_were_not_banned_since_are_forgotten(
    counts: SqlBanCounts,
) -> None:
    old = ban(ip="198.51.100.8")
    await counts.count("gw1", [old, ban(0)])
    await counts.count("gw1", [ban(2)])
    await counts.tidy(NOW + timedelta(hours=1))
    assert await before(counts, ban(3, ip=old.ip)) == 0
    assert await before(counts, ban(3)) == 2
