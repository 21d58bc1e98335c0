from functools import partial
from typing import Any
from uuid import uuid4

import pytest
from f2h.security.v1 import antispam_pb2, spam_block_pb2, spam_block_pb2_grpc
from google.rpc import code_pb2

from services.security.antispam.block import Unblocking
from services.security.inventory.located import Located
from tests.unit.security.fakes import gateway
from tests.unit.security.rpc.calls import refusal, retry_seconds
from tests.unit.security.rpc.conftest import World
from tests.unit.serving import Metadata, fields_of, info_of

Stub = spam_block_pb2_grpc.SpamBlockServiceStub
State = antispam_pb2.AntispamAddress.State
SpamBlock = spam_block_pb2.SpamBlock

IP = "203.0.113.9"


@pytest.fixture(scope="module")
def grpc_stub_cls() -> type[Stub]:
    return Stub


@pytest.fixture(autouse=True)
def two_gates(world: World) -> None:
    for name in ("gw1", "gw2"):
        world.run(partial(world.gateways.put, gateway(name, mail_gate=True)))


def put_form(ip: str = IP, reason: str = "It sends spam.") -> spam_block_pb2.PutSpamBlockRequest:
    return spam_block_pb2.PutSpamBlockRequest(ip=ip, reason=reason)


def put(stub: Stub, who: Metadata, ip: str = IP, reason: str = "It sends spam.") -> SpamBlock:
    return stub.PutSpamBlock(put_form(ip, reason), metadata=who, timeout=10)


def lift(stub: Stub, who: Metadata, ip: str = IP, *, forget: bool = False) -> SpamBlock:
    request = spam_block_pb2.LiftSpamBlockRequest(ip=ip, forget=forget)
    return stub.LiftSpamBlock(request, metadata=who, timeout=10)


def listed(stub: Stub, who: Metadata, **fields: Any) -> spam_block_pb2.ListSpamBlocksResponse:
    request = spam_block_pb2.ListSpamBlocksRequest(**fields)
    return stub.ListSpamBlocks(request, metadata=who, timeout=10)


def test_a_block_tells_who_made_it_and_what_each_gate_does(
    grpc_stub: Stub, world: World, noc: Metadata
) -> None:
    world.gate.failing.add("gw2")
    block = put(grpc_stub, noc, f"::ffff:{IP}")
    assert (block.ip, block.state, block.reason) == (IP, State.BLOCKED_FOR_SPAM, "It sends spam.")
    assert (block.blocked_by, block.times) == ("f" * 16, 1)
    assert (block.hostname, block.account) == ("ns1.example.net", "demo")
    waits = block.unblock_time.ToDatetime() - block.blocked_since.ToDatetime()
    assert waits.total_seconds() == 3600
    assert not block.HasField("lift_time")
    one, two = block.gates
    assert (one.gateway, one.HasField("blocks"), one.blocks, one.trouble) == (
        "gw1",
        True,
        True,
        "",
    )
    assert (two.gateway, two.HasField("blocks")) == ("gw2", False)
    assert two.trouble == "It does not answer."
    assert [event for _, event, _ in world.told.events] == ["ADDRESS_BLOCKED"]


def test_blocking_again_changes_the_reason(grpc_stub: Stub, noc: Metadata) -> None:
    first = put(grpc_stub, noc)
    again = put(grpc_stub, noc, reason="It sends much spam.")
    assert again.reason == "It sends much spam."
    assert (again.times, again.unblock_time) == (1, first.unblock_time)


def test_a_lifted_block_says_when_and_is_not_blocked_any_more(
    grpc_stub: Stub, world: World, noc: Metadata
) -> None:
    put(grpc_stub, noc)
    block = lift(grpc_stub, noc)
    assert (block.state, block.times) == (State.UNBLOCKED, 1)
    assert block.HasField("lift_time")
    assert not block.HasField("blocked_since")
    assert not block.HasField("unblock_time")
    assert [(each.HasField("blocks"), each.blocks) for each in block.gates] == [(True, False)] * 2
    assert world.gate.held["gw1"] == set()


def test_whose_an_address_is_is_told_of_one_and_not_in_a_list(
    grpc_stub: Stub, world: World, noc: Metadata
) -> None:
    put(grpc_stub, noc)
    [block] = listed(grpc_stub, noc).blocks
    assert (block.ip, block.hostname, block.account) == (IP, "", "")
    world.inventory.servers = [Located("ns2.example.net", "other", (IP,))]
    lifted = lift(grpc_stub, noc)
    assert (lifted.hostname, lifted.account) == ("ns2.example.net", "other")


def test_a_lifted_block_of_an_address_that_nobody_has_any_more_names_nobody(
    grpc_stub: Stub, world: World, noc: Metadata
) -> None:
    put(grpc_stub, noc)
    world.inventory.servers = []
    lifted = lift(grpc_stub, noc)
    assert (lifted.state, lifted.hostname, lifted.account) == (State.UNBLOCKED, "", "")


def test_a_forgotten_block_waits_as_the_first_time(grpc_stub: Stub, noc: Metadata) -> None:
    put(grpc_stub, noc)
    assert lift(grpc_stub, noc, forget=True).times == 0
    assert put(grpc_stub, noc).times == 1


def test_what_is_not_blocked_cannot_be_lifted(grpc_stub: Stub, noc: Metadata) -> None:
    request = spam_block_pb2.LiftSpamBlockRequest(ip=IP)
    refused = refusal(grpc_stub.LiftSpamBlock, request, noc)
    assert (refused.code, info_of(refused).reason) == (
        code_pb2.FAILED_PRECONDITION,
        "IP_NOT_BLOCKED",
    )


def test_an_address_that_no_server_has_is_not_found(
    grpc_stub: Stub, world: World, noc: Metadata
) -> None:
    refused = refusal(grpc_stub.PutSpamBlock, put_form("192.0.2.1"), noc)
    assert info_of(refused).reason == "NOT_FOUND"
    assert [*listed(grpc_stub, noc, lifted=True).blocks] == []


def test_what_is_unblocked_now_is_busy_and_names_its_holder(
    grpc_stub: Stub, world: World, noc: Metadata
) -> None:
    put(grpc_stub, noc)
    now = world.clock.pass_(3600)
    unblocking = Unblocking(uuid4(), IP, "ns1.example.net", "demo", "RUNNING", now, now)
    world.run(lambda: world.blocks.begin(unblocking))
    lift_form = spam_block_pb2.LiftSpamBlockRequest(ip=IP)
    for rpc, request in (
        (grpc_stub.PutSpamBlock, put_form()),
        (grpc_stub.LiftSpamBlock, lift_form),
    ):
        refused = refusal(rpc, request, noc)
        info = info_of(refused)
        assert (info.reason, info.metadata["operation"]) == ("IP_BUSY", unblocking.name)
        assert retry_seconds(refused) == 5
    [block] = listed(grpc_stub, noc).blocks
    assert block.state == State.UNBLOCKING


def test_pages_have_every_block_once(grpc_stub: Stub, world: World, noc: Metadata) -> None:
    ips = tuple(f"203.0.113.{number}" for number in range(7))
    world.inventory.servers = [Located("ns1.example.net", "demo", ips)]
    for ip in ips:
        put(grpc_stub, noc, ip)
    lift(grpc_stub, noc, "203.0.113.3")
    for lifted in (True, False):
        found: list[str] = []
        token = ""
        while True:
            page = listed(grpc_stub, noc, lifted=lifted, page_size=2, page_token=token)
            found += [each.ip for each in page.blocks]
            token = page.next_page_token
            assert len(found) <= len(ips)
            if not token:
                break
        assert found == [ip for ip in ips if lifted or ip != "203.0.113.3"]


@pytest.mark.parametrize("token", ["?", "AA==", "/w=="])
def test_a_made_up_page_token_is_refused(grpc_stub: Stub, noc: Metadata, token: str) -> None:
    request = spam_block_pb2.ListSpamBlocksRequest(page_token=token)
    assert fields_of(refusal(grpc_stub.ListSpamBlocks, request, noc)) == ["page_token"]


@pytest.mark.parametrize(
    ("field", "fields"),
    [
        ("ip", {"ip": "203.0.113.0/24"}),
        ("ip", {"ip": "2001:db8::9%eth0"}),
        ("reason", {"reason": ""}),
        ("reason", {"reason": "a" * 501}),
    ],
)
def test_a_wrong_block_is_refused_and_named(
    grpc_stub: Stub, world: World, noc: Metadata, field: str, fields: dict[str, str]
) -> None:
    refused = refusal(grpc_stub.PutSpamBlock, put_form(**fields), noc)
    assert (info_of(refused).reason, fields_of(refused)) == ("INVALID_REQUEST", [field])
    assert world.gate.calls == []


def test_customers_and_people_of_accounts_see_nothing_of_it(
    grpc_stub: Stub, customer: Metadata, person: Metadata
) -> None:
    for who in (customer, person):
        refused = refusal(grpc_stub.ListSpamBlocks, spam_block_pb2.ListSpamBlocksRequest(), who)
        assert info_of(refused).reason == "AUDIENCE_NOT_ALLOWED"
