from datetime import timedelta

import pytest
from f2h.access.v1.reason_pb2 import Reason

from services.runtime.errors import ApiError
from services.security.antihack import unban as unban_module
from services.security.antihack.bans import Bans
from services.security.antihack.fail2ban import Health
from services.security.antihack.unban import Outcome, Unban
from tests.unit.security.fakes import NS1, FakeClock, FakeFail2ban, FakeGateways, gateway

SSHD = "sshd-203.0.113.9"
POSTFIX = "postfix-203.0.113.9"
V6 = "sshd-2001-db8--9"
ATTACKER = "198.51.100.7"
GW1 = gateway("gw1")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def fail2ban(clock: FakeClock) -> FakeFail2ban:
    return FakeFail2ban(clock)


@pytest.fixture
def bans(fail2ban: FakeFail2ban, clock: FakeClock) -> Bans:
    return Bans(fail2ban, clock)


@pytest.fixture
def gateways() -> FakeGateways:
    return FakeGateways(GW1, gateway("gw2", region="US"))


@pytest.fixture
def unban(gateways: FakeGateways, fail2ban: FakeFail2ban, bans: Bans, clock: FakeClock) -> Unban:
    return Unban(gateways, fail2ban, bans, clock)


def told(fail2ban: FakeFail2ban) -> list[tuple[str, ...]]:
    """The bans that gateways were told to lift."""
    return sorted(each[1:] for each in fail2ban.asked if each[0] == "unban")


async def test_every_jail_of_the_server_that_holds_the_address_lets_it_go(
    unban: Unban, fail2ban: FakeFail2ban
) -> None:
    fail2ban.jail("gw1", SSHD, ATTACKER, "198.51.100.8")
    fail2ban.jail("gw1", V6, ATTACKER)
    fail2ban.jail("gw1", POSTFIX, "198.51.100.8")
    fail2ban.jail("gw2", POSTFIX, ATTACKER)
    one, two = await unban(NS1.ips, ATTACKER)
    assert (one.gateway.name, one.outcome, one.jails) == ("gw1", Outcome.UNBANNED, (V6, SSHD))
    assert (two.gateway.name, two.outcome, two.jails) == ("gw2", Outcome.UNBANNED, (POSTFIX,))
    assert (one.health, one.trouble) == (Health.OK, "")
    assert [*fail2ban.jails_of["gw1"][SSHD]] == ["198.51.100.8"]
    assert [*fail2ban.jails_of["gw1"][POSTFIX]] == ["198.51.100.8"]
    assert told(fail2ban) == [
        ("gw1", V6, ATTACKER),
        ("gw1", SSHD, ATTACKER),
        ("gw2", POSTFIX, ATTACKER),
    ]


async def test_only_the_servers_jails_are_touched(unban: Unban, fail2ban: FakeFail2ban) -> None:
    others = [
        "sshd",
        "recidive",
        "sshd-203.0.113.90",
        "sshd-1203.0.113.9",
        "sshd-2001-db8--90",
        "postfix-192.0.2.1",
    ]
    for jail in [*others, SSHD]:
        fail2ban.jail("gw1", jail, ATTACKER)
    [one, _] = await unban(NS1.ips, ATTACKER)
    assert one.jails == (SSHD,)
    assert told(fail2ban) == [("gw1", SSHD, ATTACKER)]
    assert all(ATTACKER in fail2ban.jails_of["gw1"][jail] for jail in others)


async def test_a_gateway_that_does_not_protect_the_server_is_not_asked(
    unban: Unban, fail2ban: FakeFail2ban, gateways: FakeGateways
) -> None:
    await gateways.put(gateway("gw3", networks=("192.0.2.0/24",)))
    fail2ban.jail("gw3", SSHD, ATTACKER)
    results = await unban(NS1.ips, ATTACKER)
    assert [each.gateway.name for each in results] == ["gw1", "gw2"]
    assert all(each[1] != "gw3" for each in fail2ban.asked)


async def test_where_no_gateway_protects_the_server_that_is_said_and_none_is_asked(
    unban: Unban, fail2ban: FakeFail2ban
) -> None:
    with pytest.raises(ApiError) as refused:
        await unban(["192.0.2.1", "192.0.2.2"], ATTACKER)
    assert refused.value.reason == Reason.NOT_SET_UP
    assert refused.value.message == "No gateway protects 192.0.2.1, 192.0.2.2."
    assert fail2ban.asked == []


async def test_where_no_gateway_of_the_region_protects_the_server_the_region_is_named(
    unban: Unban, fail2ban: FakeFail2ban
) -> None:
    with pytest.raises(ApiError) as refused:
        await unban(NS1.ips[:1], ATTACKER, region="ASIA")
    assert refused.value.reason == Reason.NOT_SET_UP
    assert refused.value.message == "No gateway in the region ASIA protects 203.0.113.9."
    assert fail2ban.asked == []


@pytest.mark.parametrize("banned", [False, True])
@pytest.mark.parametrize(
    ("ip", "network"), [(ATTACKER, "198.51.100.0/24"), ("2001:db8:1::7", "2001:db8:1::/48")]
)
async def test_a_banned_network_that_has_the_address_is_a_failure_and_named(
    unban: Unban, fail2ban: FakeFail2ban, ip: str, network: str, *, banned: bool
) -> None:
    fail2ban.jail("gw1", SSHD, network, "192.0.2.0/24", *([ip] if banned else []))
    one, two = await unban(NS1.ips, ip)
    assert (one.outcome, one.jails) == (Outcome.FAILED, (SSHD,) if banned else ())
    assert one.trouble == f"The network {network} is blocked, which only the NOC can lift."
    assert two.outcome is Outcome.NOT_BANNED


async def test_networks_without_the_address_or_in_jails_of_others_do_not_hinder(
    unban: Unban, fail2ban: FakeFail2ban
) -> None:
    fail2ban.jail("gw1", SSHD, ATTACKER, "192.0.2.0/24", "2001:db8::/32")
    fail2ban.jail("gw1", "sshd-203.0.113.90", "198.51.100.0/24")
    one, _ = await unban(NS1.ips, ATTACKER)
    assert one.outcome is Outcome.UNBANNED


async def test_of_a_named_jail_alone_networks_are_looked_for(
    unban: Unban, fail2ban: FakeFail2ban
) -> None:
    fail2ban.jail("gw1", SSHD, "198.51.100.0/24")
    fail2ban.jail("gw1", POSTFIX, ATTACKER)
    one, _ = await unban(NS1.ips, ATTACKER, jail=POSTFIX)
    assert (one.outcome, one.jails) == (Outcome.UNBANNED, (POSTFIX,))


async def test_a_gateway_that_takes_too_long_has_failed_and_what_others_did_stays(
    unban: Unban, fail2ban: FakeFail2ban, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail2ban.jail("gw1", SSHD, ATTACKER)
    fail2ban.silent.add("gw2")
    monkeypatch.setattr(unban_module, "GATEWAY_SECONDS", 0.2)
    one, two = await unban(NS1.ips, ATTACKER)
    assert (one.outcome, one.jails) == (Outcome.UNBANNED, (SSHD,))
    assert (two.outcome, two.health) == (Outcome.FAILED, Health.UNREACHABLE)
    assert two.trouble == "It takes too long. Ask again."


async def test_a_gateway_that_failed_a_while_ago_and_does_it_now_has_done_it(
    unban: Unban, fail2ban: FakeFail2ban, bans: Bans, clock: FakeClock
) -> None:
    fail2ban.jail("gw1", SSHD, ATTACKER)
    fail2ban.failing["gw1"] = Health.UNREACHABLE
    await bans.source(GW1, "203.0.113.9", timedelta(0))
    fail2ban.failing.clear()
    clock.pass_(1)
    one, _ = await unban(NS1.ips, ATTACKER)
    assert (one.outcome, one.jails) == (Outcome.UNBANNED, (SSHD,))


async def test_an_address_that_is_not_banned_is_no_error_and_nothing_is_sent(
    unban: Unban, fail2ban: FakeFail2ban
) -> None:
    fail2ban.jail("gw1", SSHD, "198.51.100.70")
    one, two = await unban(NS1.ips, ATTACKER)
    assert (one.outcome, one.jails, one.health) == (Outcome.NOT_BANNED, (), Health.OK)
    assert (two.outcome, two.jails, two.health) == (Outcome.NOT_BANNED, (), Health.NO_JAILS)
    assert told(fail2ban) == []


async def test_only_the_named_jail_lets_it_go(unban: Unban, fail2ban: FakeFail2ban) -> None:
    fail2ban.jail("gw1", SSHD, ATTACKER)
    fail2ban.jail("gw1", POSTFIX, ATTACKER)
    fail2ban.jail("gw2", SSHD)
    one, two = await unban(NS1.ips, ATTACKER, jail=POSTFIX)
    assert (one.outcome, one.jails) == (Outcome.UNBANNED, (POSTFIX,))
    assert two.outcome is Outcome.NOT_BANNED
    assert ATTACKER in fail2ban.jails_of["gw1"][SSHD]


@pytest.mark.parametrize("jail", ["sshd", "sshd-203.0.113.90", "sshd-1203.0.113.9", "recidive"])
async def test_a_jail_of_somebody_else_is_not_found_and_no_gateway_is_asked(
    unban: Unban, fail2ban: FakeFail2ban, jail: str
) -> None:
    fail2ban.jail("gw1", jail, ATTACKER)
    with pytest.raises(ApiError) as refused:
        await unban(NS1.ips, ATTACKER, jail=jail)
    assert refused.value.reason == Reason.NOT_FOUND
    assert refused.value.metadata == {"jail": jail}
    assert fail2ban.asked == []


async def test_only_gateways_of_the_region_are_asked(unban: Unban, fail2ban: FakeFail2ban) -> None:
    fail2ban.jail("gw1", SSHD, ATTACKER)
    fail2ban.jail("gw2", SSHD, ATTACKER)
    [only] = await unban(NS1.ips, ATTACKER, region="US")
    assert (only.gateway.name, only.jails) == ("gw2", (SSHD,))
    assert {each[1] for each in fail2ban.asked} == {"gw2"}
    assert ATTACKER in fail2ban.jails_of["gw1"][SSHD]


async def test_where_some_fail_it_is_said_which(unban: Unban, fail2ban: FakeFail2ban) -> None:
    fail2ban.jail("gw1", SSHD, ATTACKER)
    fail2ban.failing["gw2"] = Health.NOT_RUNNING
    one, two = await unban(NS1.ips, ATTACKER)
    assert one.outcome is Outcome.UNBANNED
    assert (two.outcome, two.health) == (Outcome.FAILED, Health.NOT_RUNNING)
    assert two.trouble == "It is not_running."


async def test_a_gateway_that_is_too_busy_is_one_that_failed(
    unban: Unban, fail2ban: FakeFail2ban
) -> None:
    fail2ban.busy.add("gw2")
    _, two = await unban(NS1.ips, ATTACKER)
    assert two.outcome is Outcome.FAILED
    assert "Ask again" in two.trouble


async def test_where_all_fail_nothing_is_said_to_be_done(
    unban: Unban, fail2ban: FakeFail2ban
) -> None:
    fail2ban.failing.update({"gw1": Health.UNREACHABLE, "gw2": Health.NOT_RUNNING})
    with pytest.raises(ApiError) as failed:
        await unban(NS1.ips, ATTACKER)
    assert failed.value.reason == Reason.GATEWAY_UNAVAILABLE
    assert failed.value.metadata == {"gateways": "gw1, gw2"}
    assert failed.value.retry_after_seconds == 1
    assert "gw1: It is unreachable." in failed.value.message


async def test_a_ban_that_is_kept_although_it_was_to_be_lifted_is_a_failure(
    unban: Unban, fail2ban: FakeFail2ban
) -> None:
    fail2ban.jail("gw1", SSHD, ATTACKER)
    fail2ban.jail("gw1", POSTFIX, ATTACKER)
    fail2ban.stubborn.add(("gw1", POSTFIX))
    one, _ = await unban(NS1.ips, ATTACKER)
    assert (one.outcome, one.jails) == (Outcome.FAILED, (SSHD,))
    assert one.trouble == f"It was told, and still blocks the address in {POSTFIX}."


async def test_a_gateway_that_fails_after_it_was_told_is_not_said_to_have_done_it(
    unban: Unban, fail2ban: FakeFail2ban
) -> None:
    fail2ban.jail("gw1", SSHD, ATTACKER)
    fail2ban.failing_unbans["gw1", SSHD] = Health.UNREACHABLE
    one, _ = await unban(NS1.ips, ATTACKER)
    assert (one.outcome, one.jails, one.health) == (Outcome.FAILED, (), Health.UNREACHABLE)


async def test_a_jail_that_goes_away_meanwhile_is_a_failure(
    unban: Unban, fail2ban: FakeFail2ban
) -> None:
    fail2ban.jail("gw1", SSHD, ATTACKER)
    fail2ban.vanishing.add(("gw1", SSHD))
    one, _ = await unban(NS1.ips, ATTACKER)
    assert one.outcome is Outcome.FAILED
    assert "Ask again" in one.trouble


@pytest.mark.parametrize("fails", [False, True])
async def test_what_was_read_of_a_jail_before_it_was_told_is_not_believed_any_more(
    unban: Unban, fail2ban: FakeFail2ban, bans: Bans, clock: FakeClock, *, fails: bool
) -> None:
    fail2ban.jail("gw1", SSHD, ATTACKER)
    hour = timedelta(hours=1)
    before = await bans.source(GW1, "203.0.113.9", hour)
    assert ATTACKER in before.jails[SSHD].bans
    if fails:
        fail2ban.failing_unbans["gw1", SSHD] = Health.UNREACHABLE
    clock.pass_(1)
    await unban(NS1.ips, ATTACKER)
    fail2ban.jails_of["gw1"][SSHD].clear()  # it was done, though no answer came
    assert not (await bans.source(GW1, "203.0.113.9", hour)).jails[SSHD].bans
