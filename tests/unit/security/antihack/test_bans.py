import asyncio
from datetime import timedelta

import pytest

from services.security.antihack import bans as bans_module
from services.security.antihack.bans import Bans
from services.security.antihack.fail2ban import Health, SourceBusy
from tests.unit.security.fakes import FakeClock, FakeFail2ban, gateway

IP = "203.0.113.9"
JAIL = "sshd-203.0.113.9"
GW1 = gateway("gw1")
AT_ONCE = timedelta(0)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def fail2ban(clock: FakeClock) -> FakeFail2ban:
    made = FakeFail2ban(clock)
    made.jail("gw1", JAIL, "198.51.100.7")
    return made


@pytest.fixture
def bans(fail2ban: FakeFail2ban, clock: FakeClock) -> Bans:
    return Bans(fail2ban, clock)


async def blocked(bans: Bans, max_age: timedelta = AT_ONCE) -> list[str]:
    source = await bans.source(GW1, IP, max_age)
    assert source.health is Health.OK
    return sorted(ip for each in source.jails.values() for ip in each.bans)


async def test_only_the_jails_of_the_address_are_read(bans: Bans, fail2ban: FakeFail2ban) -> None:
    for jail in ("sshd", "sshd-203.0.113.90", "sshd-1203.0.113.9", "postfix-203.0.113.9"):
        fail2ban.jail("gw1", jail, "198.51.100.8")
    source = await bans.source(GW1, IP, AT_ONCE)
    assert sorted(source.jails) == ["postfix-203.0.113.9", JAIL]
    read = sorted(each[2] for each in fail2ban.asked if each[0] == "bans")
    assert read == ["postfix-203.0.113.9", JAIL]


async def test_what_is_young_enough_is_not_asked_again(
    bans: Bans, fail2ban: FakeFail2ban, clock: FakeClock
) -> None:
    max_age = timedelta(seconds=10)
    first = await bans.source(GW1, IP, max_age)
    fail2ban.jail("gw1", JAIL, "198.51.100.8")
    clock.pass_(10)
    again = await bans.source(GW1, IP, max_age)
    assert sorted(again.jails[JAIL].bans) == ["198.51.100.7"]
    assert again.time == first.time == clock() - max_age
    clock.pass_(0.001)
    assert await blocked(bans, max_age) == ["198.51.100.7", "198.51.100.8"]
    assert (fail2ban.questions("jails"), fail2ban.questions("bans")) == (2, 2)


async def test_who_wants_it_now_gets_what_is_so_now(
    bans: Bans, fail2ban: FakeFail2ban, clock: FakeClock
) -> None:
    assert await blocked(bans, timedelta(hours=1)) == ["198.51.100.7"]
    fail2ban.jail("gw1", JAIL, "198.51.100.8")
    clock.pass_(0.001)
    assert await blocked(bans, AT_ONCE) == ["198.51.100.7", "198.51.100.8"]


async def test_its_time_is_that_of_the_eldest_part(
    bans: Bans, fail2ban: FakeFail2ban, clock: FakeClock
) -> None:
    begin = clock()
    await bans.jails(GW1, begin)
    clock.pass_(5)
    source = await bans.source(GW1, IP, timedelta(seconds=10))
    assert source.time == begin
    assert source.jails[JAIL].time == clock()


async def test_many_who_ask_at_once_are_one_question(bans: Bans, fail2ban: FakeFail2ban) -> None:
    fail2ban.pause = asyncio.Event()
    asking = [asyncio.create_task(bans.source(GW1, IP, AT_ONCE)) for _ in range(50)]
    await fail2ban.reached.wait()
    fail2ban.pause.set()
    sources = await asyncio.gather(*asking)
    assert (fail2ban.questions("jails"), fail2ban.questions("bans")) == (1, 1)
    assert {source.health for source in sources} == {Health.OK}


async def test_who_comes_during_a_read_does_not_get_what_was_read_before_he_asked(
    bans: Bans, fail2ban: FakeFail2ban, clock: FakeClock
) -> None:
    fail2ban.pause = asyncio.Event()
    first = asyncio.create_task(blocked(bans))
    await fail2ban.reached.wait()
    fail2ban.jail("gw1", JAIL, "198.51.100.8")
    fail2ban.jail("gw1", "postfix-203.0.113.9", "198.51.100.9")
    clock.pass_(1)
    second = asyncio.create_task(blocked(bans))
    fail2ban.pause.set()
    await first
    assert await second == ["198.51.100.7", "198.51.100.8", "198.51.100.9"]


async def test_a_jail_that_was_changed_during_a_read_is_read_again(
    bans: Bans, fail2ban: FakeFail2ban, clock: FakeClock
) -> None:
    await bans.jails(GW1, clock())
    fail2ban.pause = asyncio.Event()
    reading = asyncio.create_task(blocked(bans, timedelta(hours=1)))
    await fail2ban.reached.wait()
    clock.pass_(1)
    del fail2ban.jails_of["gw1"][JAIL]["198.51.100.7"]
    bans.forget(GW1, JAIL)
    fail2ban.pause.set()
    assert await reading == ["198.51.100.7"]  # who asked before the change may be told of before
    assert await blocked(bans, timedelta(hours=1)) == []
    assert fail2ban.questions("bans") == 2


async def test_what_was_read_after_a_change_is_believed(
    bans: Bans, fail2ban: FakeFail2ban, clock: FakeClock
) -> None:
    bans.forget(GW1, JAIL)
    for _ in range(3):
        clock.pass_(1)
        assert await blocked(bans, timedelta(hours=1)) == ["198.51.100.7"]
    assert fail2ban.questions("bans") == 1


@pytest.mark.parametrize("health", [Health.NOT_RUNNING, Health.NOT_INSTALLED, Health.UNREACHABLE])
async def test_a_gateway_that_fails_says_so_and_says_nothing_of_bans(
    bans: Bans, fail2ban: FakeFail2ban, clock: FakeClock, health: Health
) -> None:
    fail2ban.failing["gw1"] = health
    source = await bans.source(GW1, IP, AT_ONCE)
    assert (source.health, source.trouble) == (health, f"It is {health.lower()}.")
    assert (source.jails, source.time) == ({}, clock())
    del fail2ban.failing["gw1"]
    clock.pass_(0.001)
    assert await blocked(bans) == ["198.51.100.7"]


async def test_who_waited_for_a_question_that_failed_has_the_same_failure(
    bans: Bans, fail2ban: FakeFail2ban
) -> None:
    fail2ban.pause = asyncio.Event()
    addresses = [f"203.0.113.{number}" for number in range(50)]
    asking = [asyncio.create_task(bans.source(GW1, ip, AT_ONCE)) for ip in addresses]
    await fail2ban.reached.wait()
    fail2ban.failing["gw1"] = Health.UNREACHABLE
    fail2ban.pause.set()
    sources = await asyncio.gather(*asking)
    assert {(each.health, each.trouble) for each in sources} == {
        (Health.UNREACHABLE, "It is unreachable.")
    }
    assert len(fail2ban.asked) == 1


async def test_who_waited_while_the_bans_of_a_jail_were_asked_in_vain_has_that_failure(
    bans: Bans, fail2ban: FakeFail2ban, clock: FakeClock
) -> None:
    for number in range(20):
        fail2ban.jail("gw1", f"sshd-203.0.113.{number}")
    await bans.jails(GW1, clock())
    fail2ban.pause = asyncio.Event()
    asking = [
        asyncio.create_task(bans.source(GW1, f"203.0.113.{number}", timedelta(hours=1)))
        for number in range(20)
    ]
    await fail2ban.reached.wait()
    fail2ban.failing["gw1"] = Health.UNREACHABLE
    fail2ban.pause.set()
    assert {each.health for each in await asyncio.gather(*asking)} == {Health.UNREACHABLE}
    assert fail2ban.questions("bans") == 1


async def test_a_failure_is_told_for_as_long_as_who_asks_allows_and_then_it_is_asked_again(
    bans: Bans, fail2ban: FakeFail2ban, clock: FakeClock
) -> None:
    max_age = timedelta(seconds=10)
    fail2ban.failing["gw1"] = Health.NOT_RUNNING
    assert (await bans.source(GW1, IP, max_age)).health is Health.NOT_RUNNING
    del fail2ban.failing["gw1"]
    clock.pass_(10)
    assert (await bans.source(GW1, IP, max_age)).health is Health.NOT_RUNNING
    assert len(fail2ban.asked) == 1
    clock.pass_(0.001)
    assert await blocked(bans, max_age) == ["198.51.100.7"]


async def test_an_answer_forgets_the_failure_before_it(
    bans: Bans, fail2ban: FakeFail2ban, clock: FakeClock
) -> None:
    fail2ban.failing["gw1"] = Health.NOT_RUNNING
    await bans.source(GW1, IP, AT_ONCE)
    del fail2ban.failing["gw1"]
    clock.pass_(1)
    await bans.jails(GW1, clock())
    assert await blocked(bans, timedelta(hours=1)) == ["198.51.100.7"]


async def test_who_waits_too_long_for_others_is_refused_and_the_others_are_answered(
    bans: Bans, fail2ban: FakeFail2ban, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail2ban.pause = asyncio.Event()
    first = asyncio.create_task(blocked(bans))
    await fail2ban.reached.wait()
    monkeypatch.setattr(bans_module, "WAIT_SECONDS", 0.01)
    with pytest.raises(SourceBusy):
        await bans.source(GW1, IP, AT_ONCE)
    fail2ban.pause.set()
    assert await first == ["198.51.100.7"]
    assert await blocked(bans) == ["198.51.100.7"]  # nobody has the turn any more


async def test_a_gateway_that_takes_too_long_is_unreachable_until_it_answers(
    bans: Bans, fail2ban: FakeFail2ban, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail2ban.silent.add("gw1")
    with monkeypatch.context() as hurried:
        hurried.setattr(bans_module, "SOURCE_SECONDS", 0.01)
        source = await bans.source(GW1, IP, AT_ONCE)
    assert (source.health, source.jails) == (Health.UNREACHABLE, {})
    assert source.trouble == "It takes too long to answer."
    fail2ban.silent.clear()
    assert await blocked(bans) == ["198.51.100.7"]


async def test_a_gateway_that_does_not_answer_keeps_nobody_from_another(
    bans: Bans, fail2ban: FakeFail2ban
) -> None:
    fail2ban.silent.add("gw1")
    fail2ban.jail("gw2", JAIL, "198.51.100.9")
    waiting = asyncio.create_task(bans.source(GW1, IP, AT_ONCE))
    await fail2ban.reached.wait()
    assert (await bans.source(gateway("gw2"), IP, AT_ONCE)).health is Health.OK
    waiting.cancel()


async def test_a_gateway_without_a_jail_for_the_address_says_that_it_has_none(
    bans: Bans, fail2ban: FakeFail2ban
) -> None:
    source = await bans.source(GW1, "203.0.113.10", AT_ONCE)
    assert source.health is Health.NO_JAILS
    assert source.trouble


async def test_a_jail_that_is_gone_when_it_is_asked_is_left_out(
    bans: Bans, fail2ban: FakeFail2ban
) -> None:
    fail2ban.jail("gw1", "postfix-203.0.113.9", "198.51.100.8")
    fail2ban.vanishing.add(("gw1", JAIL))
    source = await bans.source(GW1, IP, AT_ONCE)
    assert (source.health, [*source.jails]) == (Health.OK, ["postfix-203.0.113.9"])


async def test_after_a_jail_was_gone_the_jails_are_asked_for_again(
    bans: Bans, fail2ban: FakeFail2ban
) -> None:
    hour = timedelta(hours=1)
    fail2ban.vanishing.add(("gw1", JAIL))
    assert (await bans.source(GW1, IP, hour)).health is Health.NO_JAILS
    del fail2ban.jails_of["gw1"][JAIL]
    fail2ban.jail("gw1", "postfix-203.0.113.9", "198.51.100.8")
    assert await blocked(bans, hour) == ["198.51.100.8"]


async def test_gateways_are_kept_apart(bans: Bans, fail2ban: FakeFail2ban) -> None:
    fail2ban.jail("gw2", JAIL, "198.51.100.9")
    source = await bans.source(gateway("gw2"), IP, timedelta(hours=1))
    assert [*source.jails[JAIL].bans] == ["198.51.100.9"]
    assert await blocked(bans, timedelta(hours=1)) == ["198.51.100.7"]


async def test_a_gateway_that_is_too_busy_refuses(bans: Bans, fail2ban: FakeFail2ban) -> None:
    fail2ban.busy.add("gw1")
    with pytest.raises(SourceBusy):
        await bans.source(GW1, IP, AT_ONCE)


async def test_nonsense_of_one_jail_is_no_failure_of_the_others(
    bans: Bans, fail2ban: FakeFail2ban
) -> None:
    fail2ban.jail("gw1", "sshd-203.0.113.10", "198.51.100.9")
    fail2ban.senseless.add(("gw1", "sshd-203.0.113.10"))
    hour = timedelta(hours=1)
    assert (await bans.source(GW1, "203.0.113.10", hour)).health is Health.UNREACHABLE
    assert await blocked(bans, hour) == ["198.51.100.7"]


async def test_a_failure_is_not_told_for_long_whatever_age_would_do(
    bans: Bans, fail2ban: FakeFail2ban, clock: FakeClock
) -> None:
    fail2ban.failing["gw1"] = Health.NOT_RUNNING
    hour = timedelta(hours=1)
    failed = await bans.source(GW1, IP, hour)
    began = failed.time
    del fail2ban.failing["gw1"]
    clock.pass_(10)
    again = await bans.source(GW1, IP, hour)
    assert (again.health, again.time) == (Health.NOT_RUNNING, began)
    clock.pass_(0.001)
    assert await blocked(bans, hour) == ["198.51.100.7"]
