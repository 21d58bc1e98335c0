"""The blocklist's client and a real name server of a DNS blocklist."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from lab.rbldnsd import Rbldnsd
from services.security.adapters.dnsbl.blocklist import Dnsbl
from services.security.adapters.dnsbl.questions import UNREACHABLE
from services.security.antispam.listing import LookUp, SpamhausList

LISTED = "198.18.0.9"
LISTINGS = {
    LISTED: ["127.0.0.4"],
    "198.18.1.0/24": ["127.0.0.2", "127.0.0.9"],
    "198.18.1.7": ["127.0.0.11"],
    "2001:db8:0:7::/64": ["127.0.0.3"],
}


@pytest.fixture(scope="module")
def rbldnsd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rbldnsd]:
    with Rbldnsd(tmp_path_factory.mktemp("antispam") / "rbldnsd") as started:
        yield started


@pytest.fixture
async def blocklist(rbldnsd: Rbldnsd) -> AsyncIterator[Dnsbl]:
    rbldnsd.hold(LISTINGS)
    made = Dnsbl(rbldnsd.zone, rbldnsd.resolver)
    yield made
    await made.close()


def lists(look_up: LookUp) -> list[str]:
    assert not look_up.unknown
    return [each.list for each in look_up.listings]


async def test_an_ipv4_address_is_listed(blocklist: Dnsbl) -> None:
    assert lists(await blocklist.look_up(LISTED)) == [SpamhausList.XBL]


async def test_an_ipv6_address_is_listed(blocklist: Dnsbl) -> None:
    assert lists(await blocklist.look_up("2001:db8:0:7::1")) == [SpamhausList.CSS]
    assert not lists(await blocklist.look_up("2001:db8:0:8::1"))


async def test_an_address_is_on_several_lists(blocklist: Dnsbl) -> None:
    expected = [SpamhausList.SBL, SpamhausList.DROP]
    assert lists(await blocklist.look_up("198.18.1.6")) == expected
    assert lists(await blocklist.look_up("198.18.1.7")) == [*expected, SpamhausList.PBL]


async def test_the_test_entry_of_every_blocklist_is_listed(blocklist: Dnsbl) -> None:
    assert lists(await blocklist.look_up("127.0.0.2"))
    assert not lists(await blocklist.look_up("127.0.0.1"))


async def test_an_address_is_clean(blocklist: Dnsbl) -> None:
    assert not lists(await blocklist.look_up("198.18.0.8"))


async def test_what_changes_is_seen_by_who_wants_it_fresh(
    blocklist: Dnsbl, rbldnsd: Rbldnsd
) -> None:
    assert lists(await blocklist.look_up(LISTED)) == [SpamhausList.XBL]
    rbldnsd.hold({})
    assert lists(await blocklist.look_up(LISTED)) == [SpamhausList.XBL]
    assert not lists(await blocklist.look_up(LISTED, fresh=True))
    rbldnsd.hold({LISTED: ["127.0.0.3"]})
    assert lists(await blocklist.look_up(LISTED, fresh=True)) == [SpamhausList.CSS]


async def test_behind_a_public_resolver_nothing_is_known(
    blocklist: Dnsbl, rbldnsd: Rbldnsd
) -> None:
    rbldnsd.refuse()
    for ip in (LISTED, "198.18.0.8", "2001:db8:0:7::1"):
        look_up = await blocklist.look_up(ip)
        assert not look_up.listings
        assert "public resolver" in look_up.unknown


async def test_another_servers_zone_is_refused(rbldnsd: Rbldnsd) -> None:
    blocklist = Dnsbl("other.lab.invalid", rbldnsd.resolver)
    assert "REFUSED" in (await blocklist.look_up(LISTED)).unknown


async def test_thousands_at_once_are_all_known(blocklist: Dnsbl, rbldnsd: Rbldnsd) -> None:
    rbldnsd.hold({f"198.18.{number}.0/25": ["127.0.0.4"] for number in range(40)})
    ips = [f"198.18.{number // 250}.{number % 250}" for number in range(10_000)]
    told = await asyncio.gather(*map(blocklist.look_up, ips))
    assert [bool(lists(each)) for each in told] == [number % 250 < 128 for number in range(10_000)]


async def test_a_stopped_server_is_not_clean_and_a_started_one_is_known_again(
    rbldnsd: Rbldnsd,
) -> None:
    rbldnsd.hold(LISTINGS)
    blocklist = Dnsbl(rbldnsd.zone, rbldnsd.resolver, seconds=0.6)
    before = await blocklist.look_up(LISTED)
    rbldnsd.stop()
    look_up = await blocklist.look_up(LISTED, fresh=True)
    assert (look_up.listings, look_up.unknown) == ((), UNREACHABLE)
    rbldnsd.start()
    after = await blocklist.look_up(LISTED, fresh=True)
    assert replace(after, time=before.time) == before


def test_a_server_holds_what_it_is_told_before_it_starts(tmp_path: Path) -> None:
    with Rbldnsd(tmp_path / "rbldnsd", {LISTED: ["127.0.0.2"]}) as rbldnsd:
        look_up = asyncio.run(Dnsbl(rbldnsd.zone, rbldnsd.resolver).look_up(LISTED))
    assert lists(look_up) == [SpamhausList.SBL]
