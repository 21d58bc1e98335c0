from collections.abc import AsyncIterator, Iterable, Mapping
from datetime import datetime, timedelta

import pytest
from f2h.access.v1.reason_pb2 import Reason

from services.runtime.errors import ApiError
from services.security.antihack.bans import Bans
from services.security.antihack.counts import CountKey
from services.security.antihack.fail2ban import Ban, Health
from services.security.antihack.status import Place, ReadAntihack, Status
from services.security.inventory.located import Located
from tests.unit.security.fakes import (
    NS1,
    NS2,
    FakeClock,
    FakeFail2ban,
    FakeGateways,
    gateway,
)

V4 = "sshd-203.0.113.9"
V6 = "sshd-2001-db8--9"


class FakeCounts:
    """Implements BanCounts with counts that a test says."""

    def __init__(self) -> None:
        self.times: dict[CountKey, int] = {}

    async def before(self, bans: Iterable[tuple[str, Ban]]) -> Mapping[CountKey, int]:
        keys = [(gateway, ban.jail, ban.ip) for gateway, ban in bans]
        return {key: self.times[key] for key in keys if key in self.times}

    async def count(self, gateway: str, bans: Iterable[Ban]) -> None:
        raise NotImplementedError

    async def tidy(self, before: datetime) -> None:
        raise NotImplementedError


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def fail2ban(clock: FakeClock) -> FakeFail2ban:
    return FakeFail2ban(clock)


@pytest.fixture
def counts() -> FakeCounts:
    return FakeCounts()


@pytest.fixture
def gateways() -> FakeGateways:
    return FakeGateways(gateway("gw1"), gateway("gw2"))


class Reader:
    """Reads statuses as they are now."""

    def __init__(self, read: ReadAntihack, clock: FakeClock) -> None:
        self._read = read
        self._clock = clock

    async def __call__(
        self,
        server: Located = NS1,
        blocked_ip: str = "",
        after: Place | None = None,
        limit: int = 1000,
    ) -> Status:
        self._clock.pass_(1)
        return await self._read(server, blocked_ip, timedelta(0), after, limit)

    async def all_pages(self, limit: int) -> AsyncIterator[str]:
        """The address of each ban on all pages."""
        page, after = await self(limit=limit), None
        while True:
            for each in page.page:
                yield each.ban.ip
            if page.last is None:
                return
            assert after is None or page.last > after, "a page must go on behind the one before"
            after = page.last
            page = await self(after=page.last, limit=limit)


@pytest.fixture
def read(
    gateways: FakeGateways, fail2ban: FakeFail2ban, counts: FakeCounts, clock: FakeClock
) -> Reader:
    return Reader(ReadAntihack(gateways, Bans(fail2ban, clock), counts), clock)


def places(status: Status) -> list[Place]:
    return [each.place for each in status.page]


async def test_each_ban_names_its_address_gateway_and_jail(
    read: Reader, fail2ban: FakeFail2ban
) -> None:
    fail2ban.jail("gw1", V4, "198.51.100.7")
    fail2ban.jail("gw2", V4, "198.51.100.7")
    fail2ban.jail("gw1", V6, "198.51.100.0/24")
    status = await read()
    assert places(status) == [
        ("198.51.100.0/24", "2001:db8::9", "gw1", V6),
        ("198.51.100.7", "203.0.113.9", "gw1", V4),
        ("198.51.100.7", "203.0.113.9", "gw2", V4),
    ]
    assert (status.last, status.total) == (None, 3)
    first = status.page[0]
    assert (first.ban.ip, first.ban.jail) == ("198.51.100.0/24", V6)
    assert first.source.gateway.name == "gw1"


async def test_each_gateway_tells_of_each_address_that_it_protects(
    read: Reader, fail2ban: FakeFail2ban, gateways: FakeGateways
) -> None:
    await gateways.put(gateway("gw2", networks=("203.0.113.8/29",)))
    await gateways.put(gateway("gw3", networks=("192.0.2.0/24",)))
    status = await read()
    assert [(each.protected_ip, each.gateway.name) for each in status.sources] == [
        ("203.0.113.9", "gw1"),
        ("203.0.113.9", "gw2"),
        ("2001:db8::9", "gw1"),
    ]


async def test_a_server_that_no_gateway_protects_has_no_sources(read: Reader) -> None:
    status = await read(Located("ns3.example.net", "demo", ("192.0.2.1",)))
    assert (status.sources, status.page, status.total) == ([], [], 0)


async def test_jails_of_other_addresses_and_servers_and_the_gateways_own_never_show(
    read: Reader, fail2ban: FakeFail2ban
) -> None:
    for jail in (
        "sshd",
        "recidive",
        "sshd-203.0.113.90",
        "sshd-1203.0.113.9",
        "sshd-2001-db8--90",
        "sshd-203.0.113.9-x",
    ):
        fail2ban.jail("gw1", jail, "198.51.100.7")
    fail2ban.jail("gw1", V4, "198.51.100.8")
    status = await read()
    assert [each.ban.ip for each in status.page] == ["198.51.100.8"]
    assert {jail for source in status.sources for jail in source.jails} == {V4}
    assert status.total == 1
    others = await read(NS2)
    assert places(others) == [("198.51.100.7", "203.0.113.90", "gw1", "sshd-203.0.113.90")]


async def test_only_bans_of_one_address_are_shown_where_it_is_named(
    read: Reader, fail2ban: FakeFail2ban
) -> None:
    fail2ban.jail("gw1", V4, "198.51.100.7", "198.51.100.70")
    fail2ban.jail("gw2", V6, "198.51.100.7")
    fail2ban.jail("gw2", V4, "2001:db8:1::7")
    status = await read(blocked_ip="198.51.100.7")
    assert [each.ban.ip for each in status.page] == ["198.51.100.7", "198.51.100.7"]
    assert status.total == 2
    assert (await read(blocked_ip="2001:db8:1::7")).total == 1
    assert (await read(blocked_ip="198.51.100.77")).total == 0


async def test_a_gateway_that_fails_is_told_and_never_an_empty_list(
    read: Reader, fail2ban: FakeFail2ban
) -> None:
    fail2ban.jail("gw1", V4, "198.51.100.7")
    fail2ban.jail("gw2", V4, "198.51.100.8")
    fail2ban.failing["gw2"] = Health.NOT_RUNNING
    status = await read()
    assert [each.ban.ip for each in status.page] == ["198.51.100.7"]
    healths = {(each.gateway.name, each.protected_ip): each.health for each in status.sources}
    assert healths == {
        ("gw1", "203.0.113.9"): Health.OK,
        ("gw1", "2001:db8::9"): Health.NO_JAILS,
        ("gw2", "203.0.113.9"): Health.NOT_RUNNING,
        ("gw2", "2001:db8::9"): Health.NOT_RUNNING,
    }
    assert all(each.trouble for each in status.sources if each.health is not Health.OK)


async def test_a_ban_that_cannot_be_read_is_counted_and_hides_no_other(
    read: Reader, fail2ban: FakeFail2ban
) -> None:
    fail2ban.jail("gw1", V4, "198.51.100.7", "198.51.100.8", "198.51.100.9")
    fail2ban.unreadable |= {"198.51.100.7", "198.51.100.8"}
    status = await read()
    assert [each.ban.ip for each in status.page] == ["198.51.100.9"]
    assert status.total == 3


async def test_pages_go_past_bans_that_cannot_be_read(read: Reader, fail2ban: FakeFail2ban) -> None:
    fail2ban.jail("gw1", V4, *(f"198.51.100.{number}" for number in range(1, 6)))
    fail2ban.unreadable |= {"198.51.100.1", "198.51.100.3", "198.51.100.4"}
    found = [ban async for ban in read.all_pages(1)]
    assert found == ["198.51.100.2", "198.51.100.5"]


async def test_a_gateway_that_is_too_busy_refuses_with_when_to_ask_again(
    read: Reader, fail2ban: FakeFail2ban
) -> None:
    fail2ban.busy.add("gw2")
    with pytest.raises(ApiError) as refused:
        await read()
    assert refused.value.reason == Reason.OVERLOADED
    assert refused.value.retry_after_seconds == 1


async def test_pages_have_every_ban_exactly_once(read: Reader, fail2ban: FakeFail2ban) -> None:
    for number in range(25):
        fail2ban.jail("gw1", V4, f"198.51.100.{number}")
        fail2ban.jail("gw2", V6, f"198.51.100.{number % 20}")
    whole = await read()
    assert (len(whole.page), whole.total, whole.last) == (45, 45, None)
    found: list[Place] = []
    after: Place | None = None
    more = True
    while more:
        page = await read(after=after, limit=7)
        assert (page.total, len(page.page)) == (45, min(7, 45 - len(found)))
        found += places(page)
        assert len(found) <= 45
        after, more = page.last, page.last is not None
    assert found == places(whole) == sorted(found)


async def test_a_page_that_is_just_full_is_the_last(read: Reader, fail2ban: FakeFail2ban) -> None:
    fail2ban.jail("gw1", V4, "198.51.100.1", "198.51.100.2")
    status = await read(limit=2)
    assert (len(status.page), status.last) == (2, None)


async def test_pages_have_what_stays_once_while_bans_come_and_go(
    read: Reader, fail2ban: FakeFail2ban
) -> None:
    stays = {f"198.51.100.{number}" for number in range(0, 100, 2)}
    fail2ban.jail("gw1", V4, *stays, *(f"198.51.100.{number}" for number in range(1, 100, 4)))
    found: list[str] = []
    after: Place | None = None
    more = True
    page_number = 0
    while more:
        page = await read(after=after, limit=10)
        found += [each.ban.ip for each in page.page]
        assert len(found) == len(set(found))
        after, more = page.last, page.last is not None
        # The place where the page ended may be gone when the next is asked for.
        bans = fail2ban.jails_of["gw1"][V4]
        for ip in [ip for ip in bans if ip not in stays][:4]:
            del bans[ip]
        fail2ban.jail("gw1", V4, f"198.51.100.{200 + page_number}", f"198.51.1.{page_number}")
        page_number += 1
    assert stays <= set(found)


async def test_a_page_after_all_of_them_is_empty(read: Reader, fail2ban: FakeFail2ban) -> None:
    fail2ban.jail("gw1", V4, "198.51.100.1")
    status = await read(after=("255", "", "", ""))
    assert (status.page, status.last, status.total) == ([], None, 1)


async def test_each_ban_says_how_often_there_was_one_before(
    read: Reader, fail2ban: FakeFail2ban, counts: FakeCounts
) -> None:
    fail2ban.jail("gw1", V4, "198.51.100.7", "198.51.100.8")
    fail2ban.jail("gw2", V4, "198.51.100.7")
    counts.times["gw1", V4, "198.51.100.7"] = 3
    status = await read()
    assert [each.times_before for each in status.page] == [3, 0, 0]
