from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from f2h.security.v1 import antispam_pb2, antispam_pb2_grpc
from f2h.server_ops.v1 import operation_pb2
from google.longrunning import operations_pb2
from google.rpc import code_pb2

from services.runtime.access import Audience
from services.runtime.request_id import IDEMPOTENCY_KEY
from services.security.antispam.block import Block, Unblocking
from services.security.antispam.listing import SpamhausList
from services.security.inventory.located import Located
from tests.unit.security.rpc.calls import refusal, retry_seconds
from tests.unit.security.rpc.conftest import World
from tests.unit.serving import Metadata, fields_of, info_of

Stub = antispam_pb2_grpc.AntispamServiceStub
Address = antispam_pb2.AntispamAddress
OperationMetadata = operation_pb2.OperationMetadata
OperationStep = operation_pb2.OperationStep

IP = "203.0.113.9"
V6 = "2001:db8::9"
WAIT = timedelta(hours=1)


@pytest.fixture(scope="module")
def grpc_stub_cls() -> type[Stub]:
    return Stub


def block(world: World, ip: str = IP) -> Block:
    return world.run(
        lambda: world.blocks.block(ip, "It sends spam.", "noc", world.clock(), lambda _: WAIT)
    )


@pytest.fixture
def free(world: World) -> Block:
    """A block whose wait is over."""
    made = block(world)
    world.clock.now = made.unblock_time
    return made


def status(stub: Stub, who: Metadata) -> dict[str, Address]:
    request = antispam_pb2.GetAntispamStatusRequest(hostname="ns1.example.net")
    answer = stub.GetAntispamStatus(request, metadata=who, timeout=10)
    return {each.ip: each for each in answer.addresses}


def form(ip: str = IP, hostname: str = "ns1.example.net") -> antispam_pb2.UnblockAntispamRequest:
    return antispam_pb2.UnblockAntispamRequest(hostname=hostname, ip=ip)


def unblock(stub: Stub, who: Metadata, ip: str = IP) -> operations_pb2.Operation:
    return stub.UnblockAntispam(form(ip), metadata=who, timeout=10)


def of_id(name: str) -> antispam_pb2.GetAntispamOperationRequest:
    return antispam_pb2.GetAntispamOperationRequest(id=name.removeprefix("antispam/operations/"))


def found(stub: Stub, who: Metadata, name: str) -> operations_pb2.Operation:
    return stub.GetAntispamOperation(of_id(name), metadata=who, timeout=10)


def metadata(operation: operations_pb2.Operation) -> OperationMetadata:
    unpacked = OperationMetadata()
    assert operation.metadata.Unpack(unpacked)
    return unpacked


def end(world: World, name: str, failure: dict[str, str] | None = None) -> None:
    there = UUID(name.removeprefix("antispam/operations/"))
    assert world.run(lambda: world.blocks.end(there, world.clock(), failure)) is not None


# --- The status


def test_each_address_of_the_server_has_both_facts(
    grpc_stub: Stub, world: World, customer: Metadata
) -> None:
    world.blocklist.lists[V6] = (SpamhausList.XBL, SpamhausList.PBL)
    made = block(world)
    world.clock.pass_(600)
    addresses = status(grpc_stub, customer)
    assert [*addresses] == [IP, V6]
    ours, listed = addresses.values()
    assert (ours.state, ours.listed) == (Address.BLOCKED_FOR_SPAM, Address.CLEAN)
    assert (ours.reason, ours.times_before, ours.operation) == ("It sends spam.", 0, "")
    assert ours.unblock_after.ToTimedelta() == timedelta(minutes=50)
    since = round(made.block_time.timestamp() * 1_000_000)
    assert ours.blocked_since.ToMicroseconds() == since
    assert (listed.state, listed.listed) == (Address.UNBLOCKED, Address.LISTED)
    assert [each.list for each in listed.listings] == [Address.XBL, Address.PBL]
    xbl = listed.listings[0]
    assert (xbl.delisting, [*xbl.return_codes]) == (Address.SELF, ["127.0.0.4"])
    assert xbl.link
    assert not listed.HasField("blocked_since")
    assert not listed.HasField("unblock_after")
    assert (listed.reason, listed.unknown_reason) == ("", "")
    assert listed.HasField("look_up_time")


def test_not_to_know_is_neither_listed_nor_clean(
    grpc_stub: Stub, world: World, customer: Metadata
) -> None:
    world.blocklist.unknown = "The resolver does not answer."
    for each in status(grpc_stub, customer).values():
        assert (each.listed, [*each.listings]) == (Address.UNKNOWN, [])
        assert each.unknown_reason == "The resolver does not answer."


def test_a_block_whose_wait_is_over_may_be_lifted_now(
    grpc_stub: Stub, world: World, customer: Metadata, free: Block
) -> None:
    address = status(grpc_stub, customer)[IP]
    assert address.state == Address.BLOCKED_FOR_SPAM
    assert not address.HasField("unblock_after")


def test_what_is_unblocked_now_says_by_what(
    grpc_stub: Stub, world: World, customer: Metadata, free: Block
) -> None:
    operation = unblock(grpc_stub, customer)
    address = status(grpc_stub, customer)[IP]
    assert (address.state, address.operation) == (Address.UNBLOCKING, operation.name)
    assert not address.HasField("unblock_after")


def test_how_often_it_was_blocked_before_is_told_of_what_is_and_of_what_is_not(
    grpc_stub: Stub, world: World, customer: Metadata
) -> None:
    block(world)
    world.run(lambda: world.blocks.override(IP, world.clock(), forget=False))
    lifted = status(grpc_stub, customer)[IP]
    assert (lifted.state, lifted.times_before, lifted.reason) == (Address.UNBLOCKED, 1, "")
    assert not lifted.HasField("blocked_since")
    block(world)
    assert status(grpc_stub, customer)[IP].times_before == 1


def test_a_person_of_the_account_may_look(grpc_stub: Stub, world: World, person: Metadata) -> None:
    block(world)
    assert status(grpc_stub, person)[IP].state == Address.BLOCKED_FOR_SPAM


def test_a_server_of_another_account_shows_nothing(
    grpc_stub: Stub, world: World, neighbour: Metadata
) -> None:
    request = antispam_pb2.GetAntispamStatusRequest(hostname="ns1.example.net")
    refused = refusal(grpc_stub.GetAntispamStatus, request, neighbour)
    assert info_of(refused).reason == "SERVER_NOT_GRANTED"
    assert world.blocklist.asked == []


# --- Unblocking


def test_an_accepted_unblocking_runs(
    grpc_stub: Stub, world: World, customer: Metadata, free: Block
) -> None:
    operation = unblock(grpc_stub, customer, f"::ffff:{IP}")
    assert operation.name.startswith("antispam/operations/")
    assert (operation.done, operation.WhichOneof("result")) == (False, None)
    about = metadata(operation)
    assert (about.state, about.kind) == (
        OperationMetadata.RUNNING,
        OperationMetadata.ANTISPAM_UNBLOCK,
    )
    assert (about.server, about.fault) == (
        "ns1.example.net",
        OperationMetadata.FAULT_UNSPECIFIED,
    )
    [step] = about.steps
    assert step.name == f"lift the block of {IP} on the mail gates, and see it lifted"
    assert step.state == OperationStep.DOING
    assert not step.HasField("end_time")
    assert (about.requester.audience, about.requester.subject) == (Audience.CUSTOMER, "c" * 16)
    assert found(grpc_stub, customer, operation.name) == operation


def test_of_an_old_unblocking_it_is_not_said_who_asked_for_it(
    grpc_stub: Stub, world: World, customer: Metadata, free: Block
) -> None:
    now = world.clock()
    old = Unblocking(uuid4(), IP, "ns1.example.net", "demo", "RUNNING", now, now)
    world.run(lambda: world.blocks.begin(old))
    assert not metadata(found(grpc_stub, customer, old.name)).HasField("requester")


def test_an_unblocking_that_succeeded_tells_when_it_was_seen(
    grpc_stub: Stub, world: World, customer: Metadata, free: Block
) -> None:
    name = unblock(grpc_stub, customer).name
    world.clock.pass_(3)
    end(world, name)
    operation = found(grpc_stub, customer, name)
    response = antispam_pb2.UnblockAntispamResponse()
    assert operation.done
    assert operation.response.Unpack(response)
    assert response.ip == IP
    about = metadata(operation)
    assert about.state == OperationMetadata.SUCCEEDED
    assert about.end_time == response.unblock_time == about.steps[0].end_time
    assert about.steps[0].state == OperationStep.DONE
    assert status(grpc_stub, customer)[IP].state == Address.UNBLOCKED


def test_an_unblocking_that_failed_says_why_and_whose_fault_it_is(
    grpc_stub: Stub, world: World, customer: Metadata, free: Block
) -> None:
    name = unblock(grpc_stub, customer).name
    failure = {"reason": "MAIL_GATE_FAILED", "message": "It did not.", "gateway": "gw1"}
    end(world, name, failure)
    operation = found(grpc_stub, customer, name)
    assert operation.done
    assert (operation.error.code, operation.error.message) == (code_pb2.UNAVAILABLE, "It did not.")
    info = info_of(operation.error)
    assert (info.reason, dict(info.metadata)) == ("MAIL_GATE_FAILED", {"gateway": "gw1"})
    about = metadata(operation)
    assert (about.state, about.fault) == (OperationMetadata.FAILED, OperationMetadata.PROVIDER)
    assert about.steps[0].state == OperationStep.ERROR
    assert status(grpc_stub, customer)[IP].state == Address.BLOCKED_FOR_SPAM


def test_what_is_not_blocked_cannot_be_unblocked(grpc_stub: Stub, customer: Metadata) -> None:
    refused = refusal(grpc_stub.UnblockAntispam, form(), customer)
    assert (refused.code, info_of(refused).reason) == (
        code_pb2.FAILED_PRECONDITION,
        "IP_NOT_BLOCKED",
    )


def test_who_asks_too_early_is_told_when_to_ask(
    grpc_stub: Stub, world: World, customer: Metadata
) -> None:
    made = block(world)
    world.clock.pass_(600)
    refused = refusal(grpc_stub.UnblockAntispam, form(), customer)
    info = info_of(refused)
    assert (refused.code, info.reason) == (code_pb2.FAILED_PRECONDITION, "UNBLOCK_TOO_EARLY")
    assert info.metadata["unblock_time"] == made.unblock_time.isoformat()
    assert retry_seconds(refused) == 3000


def test_who_is_listed_is_told_where_to_end_that(
    grpc_stub: Stub, world: World, customer: Metadata, free: Block
) -> None:
    world.blocklist.lists[IP] = (SpamhausList.CSS,)
    info = info_of(refusal(grpc_stub.UnblockAntispam, form(), customer))
    assert info.reason == "IP_LISTED"
    assert info.metadata["lists"] == "CSS"
    assert info.metadata["link"].startswith("https://")


def test_while_nobody_knows_whether_it_is_listed_it_is_refused_for_now(
    grpc_stub: Stub, world: World, customer: Metadata, free: Block
) -> None:
    world.blocklist.unknown = "The resolver does not answer."
    refused = refusal(grpc_stub.UnblockAntispam, form(), customer)
    assert (refused.code, info_of(refused).reason) == (
        code_pb2.UNAVAILABLE,
        "DEPENDENCY_UNAVAILABLE",
    )
    assert retry_seconds(refused) == 5


def test_what_is_unblocked_now_is_busy_and_names_its_holder(
    grpc_stub: Stub, world: World, customer: Metadata, free: Block
) -> None:
    operation = unblock(grpc_stub, customer)
    refused = refusal(grpc_stub.UnblockAntispam, form(), customer)
    info = info_of(refused)
    assert (refused.code, info.reason) == (code_pb2.ABORTED, "IP_BUSY")
    assert info.metadata["operation"] == operation.name
    assert retry_seconds(refused) == 5


@pytest.mark.parametrize("how", ["field", "header", "both", "one then the other"])
def test_the_same_request_id_again_is_the_same_operation(
    grpc_stub: Stub, world: World, customer: Metadata, free: Block, how: str
) -> None:
    field, header = form(), (*customer, (IDEMPOTENCY_KEY, "a-1_B"))
    if how != "header":
        field.request_id = "a-1_B"
    first = grpc_stub.UnblockAntispam(field, metadata=customer if how == "field" else header)
    again = field if how != "one then the other" else form()
    second = grpc_stub.UnblockAntispam(again, metadata=customer if how == "field" else header)
    assert first == second
    assert len(world.run(world.blocks.under_way)) == 1


def test_a_request_id_is_of_one_address(
    grpc_stub: Stub, world: World, customer: Metadata, free: Block
) -> None:
    header = (*customer, (IDEMPOTENCY_KEY, "a"))
    name = grpc_stub.UnblockAntispam(form(), metadata=header).name
    block(world, V6)
    world.clock.pass_(3600)
    refused = refusal(grpc_stub.UnblockAntispam, form(V6), header)
    info = info_of(refused)
    assert (info.reason, dict(info.metadata)) == ("REQUEST_ID_REUSED", {"operation": name})


@pytest.mark.parametrize(
    ("field", "request_id", "header"),
    [
        ("request_id", "a b", None),
        ("request_id", "a" * 65, None),
        ("request_id", "a", "b"),
        ("Idempotency-Key", "", ""),
        ("Idempotency-Key", "", "a b"),
        ("Idempotency-Key", "", "a" * 65),
    ],
)
def test_a_wrong_request_id_is_refused_and_named(
    grpc_stub: Stub,
    world: World,
    customer: Metadata,
    free: Block,
    field: str,
    request_id: str,
    header: str | None,
) -> None:
    request = form()
    request.request_id = request_id
    who = (*customer, (IDEMPOTENCY_KEY, header)) if header is not None else customer
    refused = refusal(grpc_stub.UnblockAntispam, request, who)
    assert (info_of(refused).reason, fields_of(refused)) == ("INVALID_REQUEST", [field])
    assert world.run(world.blocks.under_way) == []


@pytest.mark.parametrize("ip", ["203.0.113.90", "192.0.2.1"])
def test_only_an_address_of_the_server_can_be_unblocked(
    grpc_stub: Stub, world: World, customer: Metadata, ip: str
) -> None:
    block(world, ip)
    world.clock.pass_(86400)
    info = info_of(refusal(grpc_stub.UnblockAntispam, form(ip), customer))
    assert (info.reason, dict(info.metadata)) == ("SERVER_NOT_GRANTED", {"ip": ip})
    assert world.run(world.blocks.under_way) == []


def test_an_address_that_moved_away_cannot_be_unblocked_any_more(
    grpc_stub: Stub, world: World, customer: Metadata, free: Block
) -> None:
    world.inventory.servers = [
        Located("ns1.example.net", "demo", (V6,)),
        Located("ns2.example.net", "other", (IP,)),
    ]
    assert IP not in status(grpc_stub, customer)
    refused = refusal(grpc_stub.UnblockAntispam, form(), customer)
    assert info_of(refused).reason == "SERVER_NOT_GRANTED"


@pytest.mark.parametrize("ip", ["", "203.0.113.0/24", "fe80::1%eth0"])
def test_what_is_no_address_is_refused(grpc_stub: Stub, customer: Metadata, ip: str) -> None:
    assert fields_of(refusal(grpc_stub.UnblockAntispam, form(ip), customer)) == ["ip"]


# --- The operation


def test_a_person_of_the_account_sees_its_operations(
    grpc_stub: Stub, customer: Metadata, person: Metadata, free: Block
) -> None:
    operation = unblock(grpc_stub, customer)
    assert found(grpc_stub, person, operation.name) == operation


def test_an_operation_of_another_account_is_not_found_as_one_that_is_not_there(
    grpc_stub: Stub, customer: Metadata, neighbour: Metadata, free: Block
) -> None:
    name = unblock(grpc_stub, customer).name
    others = refusal(grpc_stub.GetAntispamOperation, of_id(name), neighbour)
    missing = refusal(grpc_stub.GetAntispamOperation, of_id(str(uuid4())), neighbour)
    assert info_of(others).reason == info_of(missing).reason == "NOT_FOUND"


def test_an_operation_of_a_server_that_the_key_does_not_name_is_not_found(
    grpc_stub: Stub, world: World, customer: Metadata, person: Metadata, free: Block
) -> None:
    world.inventory.servers = [Located("ns4.example.net", "demo", (IP,))]

    async def begin() -> str:
        now = world.clock()
        made = Unblocking(uuid4(), IP, "ns4.example.net", "demo", "RUNNING", now, now)
        await world.blocks.begin(made)
        return made.name

    name = world.run(begin)
    assert info_of(refusal(grpc_stub.GetAntispamOperation, of_id(name), customer)).reason == (
        "NOT_FOUND"
    )
    assert found(grpc_stub, person, name).name == name


@pytest.mark.parametrize("name", ["", "7", "antispam/operations/7"])
def test_what_is_no_id_is_refused(grpc_stub: Stub, customer: Metadata, name: str) -> None:
    request: Any = antispam_pb2.GetAntispamOperationRequest(id=name)
    assert fields_of(refusal(grpc_stub.GetAntispamOperation, request, customer)) == ["id"]
