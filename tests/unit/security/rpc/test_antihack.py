import base64
import json
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from f2h.security.v1 import antihack_pb2, antihack_pb2_grpc
from google.rpc import code_pb2

from services.runtime.paging import encode_token
from services.security.antihack.fail2ban import Ban, Health
from services.security.inventory.located import Located
from tests.unit.security.fakes import gateway
from tests.unit.security.rpc.calls import refusal, retry_seconds
from tests.unit.security.rpc.conftest import World
from tests.unit.serving import Metadata, fields_of, info_of

Stub = antihack_pb2_grpc.AntihackServiceStub
Source = antihack_pb2.AntihackSource
Blocked = antihack_pb2.BlockedAddress
UnbanResult = antihack_pb2.UnbanResult

JAIL = "sshd-203.0.113.9"
V6_JAIL = "sshd-2001-db8--9"
OTHERS_JAIL = "sshd-203.0.113.90"
ATTACKER = "198.51.100.7"


@pytest.fixture(scope="module")
def grpc_stub_cls() -> type[Stub]:
    return Stub


@pytest.fixture(autouse=True)
def two_gateways(world: World) -> None:
    for each in (gateway("gw1"), gateway("gw2", region="US")):
        world.run(partial(world.gateways.put, each))


def status(stub: Stub, who: Metadata, **fields: Any) -> antihack_pb2.AntihackStatus:
    filled = {"hostname": "ns1.example.net", "max_age_seconds": 0, **fields}
    return stub.GetAntihackStatus(
        antihack_pb2.GetAntihackStatusRequest(**filled), metadata=who, timeout=10
    )


def unban(stub: Stub, who: Metadata, **fields: Any) -> antihack_pb2.UnbanAddressResponse:
    filled = {"hostname": "ns1.example.net", "ip": ATTACKER, **fields}
    return stub.UnbanAddress(antihack_pb2.UnbanAddressRequest(**filled), metadata=who, timeout=10)


# --- The status


def test_a_status_tells_each_source_and_each_ban(
    grpc_stub: Stub, world: World, customer: Metadata
) -> None:
    now = world.clock()
    since = now - timedelta(minutes=10)
    world.fail2ban.jail("gw1", JAIL, ATTACKER, since=since, expires=now + timedelta(seconds=90))
    world.fail2ban.jail("gw1", "postfix-203.0.113.9")
    world.fail2ban.jail("gw2", V6_JAIL, "2001:db8:1::/48", since=since, expires=None)
    world.fail2ban.jail("gw2", OTHERS_JAIL, ATTACKER)
    world.run(
        lambda: world.counts.count("gw1", [Ban(ATTACKER, JAIL, since - timedelta(days=1), None)])
    )
    answer = status(grpc_stub, customer)
    assert [(each.protected_ip, each.gateway, each.health) for each in answer.sources] == [
        ("203.0.113.9", "gw1", Source.OK),
        ("203.0.113.9", "gw2", Source.NO_JAILS),
        ("2001:db8::9", "gw1", Source.NO_JAILS),
        ("2001:db8::9", "gw2", Source.OK),
    ]
    first = answer.sources[0]
    assert (first.region, [*first.jails], first.blocked_count, first.trouble) == (
        "EU",
        ["postfix-203.0.113.9", JAIL],
        1,
        "",
    )
    assert first.observe_time.ToMicroseconds() == round(now.timestamp() * 1_000_000)
    assert answer.sources[1].trouble
    temporary, for_good = answer.blocked
    assert (temporary.ip, temporary.jail, temporary.gateway) == (ATTACKER, JAIL, "gw1")
    assert (temporary.protected_ip, temporary.state) == ("203.0.113.9", Blocked.BLOCKED)
    assert (temporary.remaining_seconds, temporary.times_before) == (90, 1)
    assert temporary.HasField("blocked_since")
    assert temporary.HasField("expires")
    assert (for_good.ip, for_good.jail) == ("2001:db8:1::/48", V6_JAIL)
    assert not for_good.HasField("expires")
    assert not for_good.HasField("remaining_seconds")
    assert (answer.total_blocked, answer.next_page_token) == (2, "")


def test_a_ban_that_is_over_by_now_has_no_time_left(
    grpc_stub: Stub, world: World, customer: Metadata
) -> None:
    over = world.clock() - timedelta(seconds=5)
    world.fail2ban.jail("gw1", JAIL, ATTACKER, expires=over)
    [blocked] = status(grpc_stub, customer).blocked
    assert blocked.remaining_seconds == 0


@pytest.mark.parametrize(
    ("health", "told"),
    [
        (Health.NOT_RUNNING, Source.NOT_RUNNING),
        (Health.NOT_INSTALLED, Source.NOT_INSTALLED),
        (Health.UNREACHABLE, Source.UNREACHABLE),
    ],
)
def test_a_gateway_that_fails_is_told_in_the_answer(
    grpc_stub: Stub, world: World, customer: Metadata, health: Health, told: Any
) -> None:
    world.fail2ban.jail("gw1", JAIL, ATTACKER)
    world.fail2ban.failing["gw2"] = health
    answer = status(grpc_stub, customer)
    assert [each.health for each in answer.sources if each.gateway == "gw2"] == [told, told]
    assert [each.ip for each in answer.blocked] == [ATTACKER]


def test_a_person_of_the_account_may_look(grpc_stub: Stub, world: World, person: Metadata) -> None:
    world.fail2ban.jail("gw1", JAIL, ATTACKER)
    assert status(grpc_stub, person).total_blocked == 1


def test_only_bans_of_one_address_are_shown_in_whatever_form_it_is_written(
    grpc_stub: Stub, world: World, customer: Metadata
) -> None:
    world.fail2ban.jail("gw1", JAIL, ATTACKER, "198.51.100.70", "2001:db8:1::7")
    for written, ip in {
        ATTACKER: ATTACKER,
        f"::ffff:{ATTACKER}": ATTACKER,
        "2001:DB8:1:0::7": "2001:db8:1::7",
    }.items():
        answer = status(grpc_stub, customer, blocked_ip=written)
        assert [each.ip for each in answer.blocked] == [ip]
        assert answer.total_blocked == 1


def test_what_is_told_is_as_old_as_the_caller_allows(
    grpc_stub: Stub, world: World, customer: Metadata
) -> None:
    def total(**fields: Any) -> int:
        return status(grpc_stub, customer, **fields).total_blocked

    world.fail2ban.jail("gw1", JAIL, ATTACKER)
    assert total() == 1
    world.fail2ban.jail("gw1", JAIL, "198.51.100.8")
    world.clock.pass_(10)
    assert total(max_age_seconds=None) == 1  # ten seconds when not given
    assert total(max_age_seconds=9) == 2


def test_pages_have_every_ban_once(grpc_stub: Stub, world: World, customer: Metadata) -> None:
    ips = {f"198.51.100.{number}" for number in range(12)}
    world.fail2ban.jail("gw1", JAIL, *ips)
    found: list[str] = []
    token = ""
    while True:
        page = status(grpc_stub, customer, page_size=5, page_token=token)
        found += [each.ip for each in page.blocked]
        token = page.next_page_token
        assert page.total_blocked == 12
        assert len(found) <= 12
        if not token:
            break
    assert found == sorted(ips)


def test_pages_go_on_where_no_ban_of_a_page_can_be_read(
    grpc_stub: Stub, world: World, customer: Metadata
) -> None:
    world.fail2ban.jail("gw1", JAIL, "198.51.100.1", "198.51.100.2")
    world.fail2ban.unreadable.add("198.51.100.1")
    first = status(grpc_stub, customer, page_size=1)
    assert not first.blocked
    second = status(grpc_stub, customer, page_size=1, page_token=first.next_page_token)
    assert [each.ip for each in second.blocked] == ["198.51.100.2"]
    assert second.next_page_token == ""


@pytest.mark.parametrize(
    "token",
    [
        "?",
        encode_token("203.0.113.9"),
        encode_token("7"),
        encode_token("null"),
        encode_token("{}"),
        encode_token(json.dumps(["a", "b", "c"])),
        encode_token(json.dumps(["a", "b", "c", 4])),
        encode_token(json.dumps(["a", "b", "c", ["d"]])),
        base64.urlsafe_b64encode(b"\xff\xff").decode(),
        encode_token("[" * 300),
    ],
)
def test_a_made_up_page_token_is_refused(grpc_stub: Stub, customer: Metadata, token: str) -> None:
    request = antihack_pb2.GetAntihackStatusRequest(hostname="ns1.example.net", page_token=token)
    refused = refusal(grpc_stub.GetAntihackStatus, request, customer)
    assert fields_of(refused) == ["page_token"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("blocked_ip", "198.51.100.0/24"),
        ("blocked_ip", "everybody"),
        ("blocked_ip", "fe80::1%eth0"),
        ("max_age_seconds", -1),
        ("max_age_seconds", 3601),
        ("page_size", 1001),
    ],
)
def test_a_wrong_question_is_refused_and_named(
    grpc_stub: Stub, customer: Metadata, field: str, value: Any
) -> None:
    request = antihack_pb2.GetAntihackStatusRequest(**{"hostname": "ns1.example.net", field: value})
    refused = refusal(grpc_stub.GetAntihackStatus, request, customer)
    assert (info_of(refused).reason, fields_of(refused)) == ("INVALID_REQUEST", [field])


def test_a_gateway_that_is_too_busy_says_when_to_ask_again(
    grpc_stub: Stub, world: World, customer: Metadata
) -> None:
    world.fail2ban.busy.add("gw1")
    request = antihack_pb2.GetAntihackStatusRequest(hostname="ns1.example.net", max_age_seconds=0)
    refused = refusal(grpc_stub.GetAntihackStatus, request, customer)
    assert (refused.code, info_of(refused).reason) == (
        code_pb2.RESOURCE_EXHAUSTED,
        "OVERLOADED",
    )
    assert retry_seconds(refused) == 1


def test_a_server_of_another_account_shows_nothing_though_the_key_names_it(
    grpc_stub: Stub, world: World, neighbour: Metadata
) -> None:
    request = antihack_pb2.GetAntihackStatusRequest(hostname="ns1.example.net")
    refused = refusal(grpc_stub.GetAntihackStatus, request, neighbour)
    assert info_of(refused).reason == "SERVER_NOT_GRANTED"
    assert world.fail2ban.asked == []


def test_an_address_shows_with_the_server_that_has_it_when_the_call_is_made(
    grpc_stub: Stub, world: World, customer: Metadata, neighbour: Metadata
) -> None:
    world.fail2ban.jail("gw1", JAIL, ATTACKER)
    assert status(grpc_stub, customer).total_blocked == 1
    world.inventory.servers = [
        Located("ns1.example.net", "demo", ("2001:db8::9",)),
        Located("ns2.example.net", "other", ("203.0.113.90", "203.0.113.9")),
    ]
    assert status(grpc_stub, customer).total_blocked == 0
    assert status(grpc_stub, neighbour, hostname="ns2.example.net").total_blocked == 1


# --- Unbanning


def test_an_unban_says_what_came_of_it_on_each_gateway(
    grpc_stub: Stub, world: World, customer: Metadata
) -> None:
    world.fail2ban.jail("gw1", JAIL, ATTACKER)
    world.fail2ban.jail("gw1", V6_JAIL, ATTACKER)
    world.fail2ban.jail("gw1", OTHERS_JAIL, ATTACKER)
    answer = unban(grpc_stub, customer, ip=f"::ffff:{ATTACKER}")
    assert (answer.jails, answer.state) == (2, Blocked.UNBLOCKED)
    assert [*answer.results] == [
        UnbanResult(
            gateway="gw1",
            region="EU",
            outcome=UnbanResult.UNBANNED,
            jails=[V6_JAIL, JAIL],
            health=Source.OK,
        ),
        UnbanResult(
            gateway="gw2", region="US", outcome=UnbanResult.NOT_BANNED, health=Source.NO_JAILS
        ),
    ]
    assert ATTACKER in world.fail2ban.jails_of["gw1"][OTHERS_JAIL]
    world.clock.pass_(1)
    assert status(grpc_stub, customer, max_age_seconds=3600).total_blocked == 0


def test_an_unban_that_some_gateway_did_not_confirm_is_under_way(
    grpc_stub: Stub, world: World, customer: Metadata
) -> None:
    world.fail2ban.jail("gw1", JAIL, ATTACKER)
    world.fail2ban.failing["gw2"] = Health.UNREACHABLE
    answer = unban(grpc_stub, customer)
    assert (answer.jails, answer.state) == (1, Blocked.UNBLOCKING)
    failed = answer.results[1]
    assert (failed.outcome, failed.health) == (UnbanResult.FAILED, Source.UNREACHABLE)
    assert failed.trouble


def test_an_unban_that_no_gateway_confirmed_is_a_failure(
    grpc_stub: Stub, world: World, customer: Metadata
) -> None:
    world.fail2ban.failing.update({"gw1": Health.UNREACHABLE, "gw2": Health.NOT_RUNNING})
    request = antihack_pb2.UnbanAddressRequest(hostname="ns1.example.net", ip=ATTACKER)
    refused = refusal(grpc_stub.UnbanAddress, request, customer)
    assert refused.code == code_pb2.UNAVAILABLE
    info = info_of(refused)
    assert (info.reason, dict(info.metadata)) == (
        "GATEWAY_UNAVAILABLE",
        {"gateways": "gw1, gw2"},
    )
    assert retry_seconds(refused) == 1


def test_where_no_gateway_protects_the_server_an_unban_says_so(
    grpc_stub: Stub, world: World, customer: Metadata
) -> None:
    world.run(partial(world.gateways.put, gateway("gw1", networks=("192.0.2.0/24",))))
    world.run(partial(world.gateways.delete, "gw2"))
    request = antihack_pb2.UnbanAddressRequest(hostname="ns1.example.net", ip=ATTACKER)
    assert info_of(refusal(grpc_stub.UnbanAddress, request, customer)).reason == "NOT_SET_UP"


def test_a_banned_network_keeps_the_address_blocked_and_is_named(
    grpc_stub: Stub, world: World, customer: Metadata
) -> None:
    world.fail2ban.jail("gw1", JAIL, ATTACKER, "198.51.100.0/24")
    answer = unban(grpc_stub, customer)
    assert (answer.jails, answer.state) == (1, Blocked.UNBLOCKING)
    assert answer.results[0].outcome == UnbanResult.FAILED
    assert "198.51.100.0/24" in answer.results[0].trouble


def test_an_address_that_is_not_banned_is_unblocked(
    grpc_stub: Stub, world: World, customer: Metadata
) -> None:
    world.fail2ban.jail("gw1", JAIL)
    answer = unban(grpc_stub, customer)
    assert (answer.jails, answer.state) == (0, Blocked.UNBLOCKED)


def test_only_a_jail_of_the_server_can_be_named(
    grpc_stub: Stub, world: World, customer: Metadata
) -> None:
    for jail in (JAIL, OTHERS_JAIL, "sshd"):
        world.fail2ban.jail("gw1", jail, ATTACKER)
    for jail in (OTHERS_JAIL, "sshd"):
        request = antihack_pb2.UnbanAddressRequest(
            hostname="ns1.example.net", ip=ATTACKER, jail=jail
        )
        info = info_of(refusal(grpc_stub.UnbanAddress, request, customer))
        assert (info.reason, dict(info.metadata)) == ("NOT_FOUND", {"jail": jail})
    assert unban(grpc_stub, customer, jail=JAIL).jails == 1


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("ip", ""),
        ("ip", "198.51.100.0/24"),
        ("ip", "fe80::1%eth0"),
        ("jail", "-x"),
        ("jail", "sshd 1"),
        ("jail", "a" * 65),
    ],
)
def test_a_wrong_unban_is_refused_and_named(
    grpc_stub: Stub, world: World, customer: Metadata, field: str, value: str
) -> None:
    filled = {"hostname": "ns1.example.net", "ip": ATTACKER, field: value}
    refused = refusal(grpc_stub.UnbanAddress, antihack_pb2.UnbanAddressRequest(**filled), customer)
    assert (info_of(refused).reason, fields_of(refused)) == ("INVALID_REQUEST", [field])
    assert world.fail2ban.asked == []


# --- The US gateways


def unblock_us(ip: str, blocked_ip: str = ATTACKER) -> antihack_pb2.UnblockUsAddressRequest:
    return antihack_pb2.UnblockUsAddressRequest(ip=ip, blocked_ip=blocked_ip)


def test_only_us_gateways_unblock_and_only_for_the_address_that_is_named(
    grpc_stub: Stub, world: World, customer: Metadata
) -> None:
    for name in ("gw1", "gw2"):
        world.fail2ban.jail(name, JAIL, ATTACKER)
        world.fail2ban.jail(name, V6_JAIL, ATTACKER)
    answer = grpc_stub.UnblockUsAddress(unblock_us("::ffff:203.0.113.9"), metadata=customer)
    assert (answer.jails, answer.state) == (1, Blocked.UNBLOCKED)
    assert [(each.gateway, [*each.jails]) for each in answer.results] == [("gw2", [JAIL])]
    held = world.fail2ban.jails_of
    assert ATTACKER in held["gw1"][JAIL]
    assert ATTACKER in held["gw2"][V6_JAIL]


@pytest.mark.parametrize("ip", ["203.0.113.90", "192.0.2.1"])
def test_an_address_of_somebody_else_or_of_nobody_is_refused(
    grpc_stub: Stub, world: World, customer: Metadata, ip: str
) -> None:
    world.fail2ban.jail("gw2", OTHERS_JAIL, ATTACKER)
    info = info_of(refusal(grpc_stub.UnblockUsAddress, unblock_us(ip), customer))
    assert (info.reason, dict(info.metadata)) == ("SERVER_NOT_GRANTED", {"ip": ip})
    assert world.fail2ban.asked == []


def test_an_address_of_a_server_that_the_key_does_not_name_is_refused(
    grpc_stub: Stub, world: World, customer: Metadata
) -> None:
    world.inventory.servers.append(Located("ns4.example.net", "demo", ("203.0.113.4",)))
    refused = refusal(grpc_stub.UnblockUsAddress, unblock_us("203.0.113.4"), customer)
    assert info_of(refused).reason == "SERVER_NOT_GRANTED"


@pytest.mark.parametrize(("field", "value"), [("ip", "x"), ("blocked_ip", "fe80::1%eth0")])
def test_a_wrong_us_unblock_is_refused_and_named(
    grpc_stub: Stub, customer: Metadata, field: str, value: str
) -> None:
    filled = {"ip": "203.0.113.9", "blocked_ip": ATTACKER, field: value}
    refused = refusal(grpc_stub.UnblockUsAddress, unblock_us(**filled), customer)
    assert (info_of(refused).reason, fields_of(refused)) == ("INVALID_REQUEST", [field])
