import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from services.runtime.database import Database, migrate
from services.security.__main__ import MIGRATIONS
from services.security.antihack.bans import Bans
from services.security.antihack.fail2ban import Ban, Health
from services.security.antihack.watch import AT_A_TIME, REMEMBER, WatchBans
from services.security.store.ban_counts import SqlBanCounts
from tests.unit.security.fakes import NOW, FakeClock, FakeFail2ban, FakeGateways, gateway

JAIL = "sshd-203.0.113.9"
SECONDS = 60.0


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def fail2ban(clock: FakeClock) -> FakeFail2ban:
    return FakeFail2ban(clock)


@pytest.fixture
def gateways() -> FakeGateways:
    return FakeGateways(gateway("gw1"), gateway("gw2"))


@pytest.fixture
async def counts(tmp_path: Path) -> AsyncIterator[SqlBanCounts]:
    url = f"sqlite:///{tmp_path / 'test.db'}"
    await asyncio.to_thread(migrate, url, MIGRATIONS)
    database = Database(url)
    yield SqlBanCounts(database)
    await database.close()


class Watcher:
    """Looks, each time when a list is too old to be believed."""

    def __init__(
        self,
        gateways: FakeGateways,
        fail2ban: FakeFail2ban,
        counts: SqlBanCounts,
        clock: FakeClock,
    ) -> None:
        self._parts = gateways, fail2ban, counts, clock
        self.start()

    def start(self) -> None:
        """Begins as a new process does."""
        gateways, fail2ban, counts, clock = self._parts
        self.watch = WatchBans(gateways, Bans(fail2ban, clock), counts, clock, SECONDS)

    async def __call__(self) -> None:
        self._parts[3].pass_(SECONDS + 1)
        await self.watch()

    async def times(self, ip: str, gateway: str = "gw1", jail: str = JAIL) -> int:
        """How often the address is counted: as a ban of tomorrow would tell of those before."""
        _, _, counts, clock = self._parts
        ban = Ban(ip, jail, clock.now + REMEMBER, None)
        return (await counts.before([(gateway, ban)])).get((gateway, jail, ip), 0)


@pytest.fixture
def look(
    gateways: FakeGateways, fail2ban: FakeFail2ban, counts: SqlBanCounts, clock: FakeClock
) -> Watcher:
    return Watcher(gateways, fail2ban, counts, clock)


async def test_a_ban_is_counted_once_however_often_it_is_seen(
    look: Watcher, fail2ban: FakeFail2ban
) -> None:
    fail2ban.jail("gw1", JAIL, "198.51.100.7")
    for _ in range(3):
        await look()
    assert await look.times("198.51.100.7") == 1


async def test_a_new_process_does_not_count_again_what_was_counted(
    look: Watcher, fail2ban: FakeFail2ban
) -> None:
    fail2ban.jail("gw1", JAIL, "198.51.100.7")
    await look()
    look.start()
    await look()
    assert await look.times("198.51.100.7") == 1


async def test_an_address_that_was_gone_and_is_banned_again_is_counted_again(
    look: Watcher, fail2ban: FakeFail2ban
) -> None:
    for _ in range(3):
        fail2ban.jail("gw1", JAIL, "198.51.100.7")
        await look()
        fail2ban.jails_of["gw1"][JAIL].clear()
        await look()
    assert await look.times("198.51.100.7") == 3


async def test_a_ban_that_ended_and_came_back_between_two_looks_is_counted(
    look: Watcher, fail2ban: FakeFail2ban
) -> None:
    for _ in range(3):
        fail2ban.jail("gw1", JAIL, "198.51.100.7")  # anew, from now on
        await look()
    assert await look.times("198.51.100.7") == 3


async def test_new_bans_are_counted_beside_old_ones(look: Watcher, fail2ban: FakeFail2ban) -> None:
    fail2ban.jail("gw1", JAIL, "198.51.100.7")
    await look()
    fail2ban.jail("gw1", JAIL, "198.51.100.8")
    fail2ban.jail("gw1", "recidive", "198.51.100.7")
    await look()
    assert await look.times("198.51.100.7") == 1
    assert await look.times("198.51.100.8") == 1
    assert await look.times("198.51.100.7", jail="recidive") == 1


async def test_each_gateway_is_counted_for_itself(look: Watcher, fail2ban: FakeFail2ban) -> None:
    fail2ban.jail("gw1", JAIL, "198.51.100.7")
    fail2ban.jail("gw2", JAIL, "198.51.100.7", "198.51.100.8")
    await look()
    assert await look.times("198.51.100.7", "gw1") == 1
    assert await look.times("198.51.100.7", "gw2") == 1
    assert await look.times("198.51.100.8", "gw1") == 0


async def test_lists_that_are_longer_than_a_part_are_counted_whole(
    look: Watcher, fail2ban: FakeFail2ban
) -> None:
    ips = [f"198.51.{n // 250}.{n % 250}" for n in range(2 * AT_A_TIME + 1)]
    fail2ban.jail("gw1", JAIL, *ips)
    await look()
    assert [await look.times(ip) for ip in (ips[0], ips[AT_A_TIME], ips[-1])] == [1, 1, 1]


async def test_what_was_counted_is_not_looked_at_again(
    look: Watcher, fail2ban: FakeFail2ban
) -> None:
    fail2ban.jail("gw1", JAIL, "198.51.100.7")
    await look()
    fail2ban.unreadable.add("198.51.100.7")  # looking at it would fail
    fail2ban.jail("gw1", JAIL, "198.51.100.8")
    await look()
    assert await look.times("198.51.100.8") == 1


async def test_a_list_is_not_read_again_while_it_is_young(
    look: Watcher, fail2ban: FakeFail2ban
) -> None:
    fail2ban.jail("gw1", JAIL, "198.51.100.7")
    await look()
    await look.watch()
    assert fail2ban.questions("bans") == 1


async def test_a_gateway_that_fails_is_logged_once_until_it_is_back(
    look: Watcher, fail2ban: FakeFail2ban
) -> None:
    fail2ban.failing["gw2"] = Health.UNREACHABLE
    with capture_logs() as logs:
        await look()
        await look()
        del fail2ban.failing["gw2"]
        await look()
        fail2ban.busy.add("gw2")
        await look()
        await look()
    warned = [(each["log_level"], each["gateway"]) for each in logs]
    assert warned == [("warning", "gw2"), ("warning", "gw2")]


async def test_a_gateway_that_fails_keeps_no_other_from_being_counted(
    look: Watcher, fail2ban: FakeFail2ban
) -> None:
    fail2ban.failing["gw1"] = Health.UNREACHABLE
    fail2ban.jail("gw2", JAIL, "198.51.100.7")
    await look()
    assert await look.times("198.51.100.7", "gw2") == 1


async def test_a_ban_that_cannot_be_read_keeps_no_other_gateway_from_being_counted(
    look: Watcher, fail2ban: FakeFail2ban
) -> None:
    fail2ban.jail("gw1", JAIL, "198.51.100.6")
    fail2ban.unreadable.add("198.51.100.6")
    fail2ban.jail("gw2", JAIL, "198.51.100.7")
    await look()
    assert await look.times("198.51.100.7", "gw2") == 1


async def test_a_ban_that_cannot_be_read_keeps_no_other_from_being_counted(
    look: Watcher, fail2ban: FakeFail2ban
) -> None:
    fail2ban.jail("gw1", JAIL, "198.51.100.6", "198.51.100.7")
    fail2ban.jail("gw1", "z", "198.51.100.7")
    fail2ban.unreadable.add("198.51.100.6")
    with capture_logs() as logs:
        await look()
    assert await look.times("198.51.100.7") == 1
    assert await look.times("198.51.100.7", jail="z") == 1
    assert await look.times("198.51.100.6") == 0
    assert logs == []


async def test_a_jail_that_is_gone_keeps_no_other_from_being_counted(
    look: Watcher, fail2ban: FakeFail2ban
) -> None:
    fail2ban.jail("gw1", "a", "198.51.100.6")
    fail2ban.jail("gw1", JAIL, "198.51.100.7")
    fail2ban.vanishing.add(("gw1", "a"))
    await look()
    assert await look.times("198.51.100.7") == 1


async def test_a_gateway_that_is_gone_is_forgotten(
    look: Watcher, fail2ban: FakeFail2ban, gateways: FakeGateways, clock: FakeClock
) -> None:
    fail2ban.jail("gw1", JAIL, "198.51.100.7")
    await look()
    await gateways.delete("gw1")
    await look()
    # It comes back, and blocks the address anew: nothing of before may hide that.
    fail2ban.jail("gw1", JAIL, "198.51.100.7")
    await gateways.put(gateway("gw1"))
    await look()
    assert await look.times("198.51.100.7") == 2


async def test_a_jail_that_is_gone_is_forgotten(
    look: Watcher, fail2ban: FakeFail2ban, gateways: FakeGateways
) -> None:
    await gateways.delete("gw2")
    fail2ban.jail("gw1", JAIL, "198.51.100.7")
    fail2ban.jail("gw1", "recidive", "198.51.100.7")
    await look()
    del fail2ban.jails_of["gw1"]["recidive"]
    await look()
    assert [*look.watch._seen] == [("gw1", JAIL)]  # it is seen in no other way


async def test_a_gateway_that_failed_and_is_gone_is_logged_anew_when_it_is_back(
    look: Watcher, fail2ban: FakeFail2ban, gateways: FakeGateways
) -> None:
    fail2ban.failing["gw2"] = Health.UNREACHABLE
    with capture_logs() as logs:
        await look()
        await gateways.delete("gw2")
        await look()
        await gateways.put(gateway("gw2"))
        await look()
    assert [each["gateway"] for each in logs] == ["gw2", "gw2"]


async def test_what_was_long_ago_is_forgotten(
    look: Watcher, fail2ban: FakeFail2ban, clock: FakeClock
) -> None:
    fail2ban.jail("gw1", JAIL, "198.51.100.7", since=NOW)
    await look()
    clock.now = NOW + REMEMBER
    await look.watch.tidy()
    assert await look.times("198.51.100.7") == 1
    clock.pass_(1)
    await look.watch.tidy()
    assert await look.times("198.51.100.7") == 0
