import copy
from collections.abc import Iterable
from typing import Any
from uuid import uuid4

import grpc
import pytest
from f2h.security.v1 import antihack_pb2, antispam_pb2, gateway_pb2, spam_block_pb2
from google.protobuf import empty_pb2, message_factory
from google.rpc import code_pb2

from services.runtime.access import Audience, Role, rules
from services.runtime.policy import Policy
from services.security.bootstrap import MODULES
from tests.unit.serving import Metadata, info_of, signed, status_of

CUSTOMERS: dict[str, Any] = {
    "GetAntihackStatus": antihack_pb2.GetAntihackStatusRequest(hostname="ns1.example.net"),
    "UnbanAddress": antihack_pb2.UnbanAddressRequest(hostname="ns1.example.net", ip="192.0.2.1"),
    "UnblockUsAddress": antihack_pb2.UnblockUsAddressRequest(
        ip="203.0.113.9", blocked_ip="192.0.2.2"
    ),
    "GetAntispamStatus": antispam_pb2.GetAntispamStatusRequest(hostname="ns1.example.net"),
    "UnblockAntispam": antispam_pb2.UnblockAntispamRequest(
        hostname="ns1.example.net", ip="203.0.113.9"
    ),
    "GetAntispamOperation": antispam_pb2.GetAntispamOperationRequest(id=str(uuid4())),
}
NOCS: dict[str, Any] = {
    "PutGateway": gateway_pb2.PutGatewayRequest(
        name="gw1", region="EU", networks=["198.51.100.0/24"]
    ),
    "ListGateways": gateway_pb2.ListGatewaysRequest(),
    "DeleteGateway": gateway_pb2.DeleteGatewayRequest(name="gw1"),
    "PutSpamBlock": spam_block_pb2.PutSpamBlockRequest(ip="203.0.113.90", reason="It sends spam."),
    "ListSpamBlocks": spam_block_pb2.ListSpamBlocksRequest(),
    "LiftSpamBlock": spam_block_pb2.LiftSpamBlockRequest(ip="203.0.113.90"),
}
REQUESTS = CUSTOMERS | NOCS

METHODS = [
    method
    for module in MODULES
    for service in module.DESCRIPTOR.services_by_name.values()
    for method in service.methods
]
RULES = rules(*MODULES)


def path(method: Any) -> str:
    return f"/{method.containing_service.full_name}/{method.name}"


def of_each(methods: Iterable[Any]) -> pytest.MarkDecorator:
    """Each of the RPCs in turn."""
    return pytest.mark.parametrize("method", methods, ids=lambda method: method.name)


OF_CUSTOMERS = [each for each in METHODS if each.name in CUSTOMERS]
NAME_A_SERVER = [each for each in OF_CUSTOMERS if RULES[path(each)].server_field]
NEED_SOMETHING = [each for each in METHODS if each.name not in {"ListGateways", "ListSpamBlocks"}]
FOR_PEOPLE = [each for each in METHODS if Audience.SESSION in RULES[path(each)].audiences]
STRANGERS = [
    pytest.param(each, audience, id=f"{each.name}-{Audience.Name(audience)}")
    for each in METHODS
    for audience in (
        Audience.CUSTOMER,
        Audience.NOC,
        Audience.STAFF,
        Audience.SESSION,
        Audience.SERVICE,
        Audience.FORWARDED,
        Audience.PUBLIC,
    )
    if audience not in RULES[path(each)].audiences
]


@pytest.fixture
def customer(everything: Policy) -> Metadata:
    return signed(audience=Audience.CUSTOMER, account="demo", policy_digest=everything.digest())


@pytest.fixture
def noc() -> Metadata:
    return signed(audience=Audience.NOC, subject="f" * 16)


def call(channel: grpc.Channel, method: Any, request: Any, metadata: Metadata = ()) -> Any:
    """The answer to any RPC by its descriptor."""
    rpc = channel.unary_unary(
        path(method),
        request_serializer=type(request).SerializeToString,
        response_deserializer=message_factory.GetMessageClass(method.output_type).FromString,
    )
    return rpc(request, metadata=metadata, timeout=10)


def refusal(channel: grpc.Channel, method: Any, request: Any, metadata: Metadata = ()) -> Any:
    with pytest.raises(grpc.RpcError) as refused:
        call(channel, method, request, metadata)
    return status_of(refused.value)


def test_every_rpc_of_the_contract_is_tried_here() -> None:
    assert {method.name for method in METHODS} == REQUESTS.keys()


def test_customers_and_the_noc_have_no_rpc_in_common() -> None:
    inside = {Audience.NOC, Audience.STAFF}
    for method in METHODS:
        audiences = RULES[path(method)].audiences
        assert (audiences <= inside) if method.name in NOCS else not audiences & inside


@of_each(METHODS)
def test_a_call_past_the_edge_is_refused(grpc_channel: grpc.Channel, method: Any) -> None:
    status = refusal(grpc_channel, method, REQUESTS[method.name])
    assert status.code == code_pb2.UNAUTHENTICATED
    assert info_of(status).reason == "PRINCIPAL_INVALID"


@of_each(NEED_SOMETHING)
def test_a_wrong_request_is_refused(
    grpc_channel: grpc.Channel, method: Any, customer: Metadata, noc: Metadata
) -> None:
    empty = message_factory.GetMessageClass(method.input_type)()
    who = customer if method.name in CUSTOMERS else noc
    assert info_of(refusal(grpc_channel, method, empty, who)).reason == "INVALID_REQUEST"


@of_each(NAME_A_SERVER)
@pytest.mark.parametrize("hostname", ["ns2.example.net", "nobody.example.net"])
def test_a_server_that_the_key_does_not_name_is_refused(
    grpc_channel: grpc.Channel, method: Any, customer: Metadata, hostname: str
) -> None:
    request = copy.deepcopy(REQUESTS[method.name])
    request.hostname = hostname
    info = info_of(refusal(grpc_channel, method, request, customer))
    assert (info.reason, dict(info.metadata)) == ("SERVER_NOT_GRANTED", {"server": hostname})


@of_each(NAME_A_SERVER)
def test_a_server_of_another_account_is_refused_although_the_key_names_it(
    grpc_channel: grpc.Channel, method: Any, everything: Policy
) -> None:
    moved = signed(audience=Audience.CUSTOMER, account="other", policy_digest=everything.digest())
    status = refusal(grpc_channel, method, REQUESTS[method.name], moved)
    assert info_of(status).reason == "SERVER_NOT_GRANTED"


@pytest.mark.parametrize("ip", ["203.0.113.90", "192.0.2.1"])
def test_an_address_of_another_server_is_refused(
    grpc_channel: grpc.Channel, customer: Metadata, ip: str
) -> None:
    [unblock_us] = [each for each in METHODS if each.name == "UnblockUsAddress"]
    request = antihack_pb2.UnblockUsAddressRequest(ip=ip, blocked_ip="192.0.2.2")
    info = info_of(refusal(grpc_channel, unblock_us, request, customer))
    assert (info.reason, dict(info.metadata)) == ("SERVER_NOT_GRANTED", {"ip": ip})


@pytest.mark.parametrize(("method", "audience"), STRANGERS)
def test_callers_of_other_kinds_are_refused(
    grpc_channel: grpc.Channel, method: Any, audience: Any, everything: Policy
) -> None:
    stranger = signed(
        audience=audience,
        account="demo",
        subject="e" * 16,
        role=Role.OWNER,
        policy_digest=everything.digest() if audience == Audience.CUSTOMER else b"",
    )
    status = refusal(grpc_channel, method, REQUESTS[method.name], stranger)
    assert status.code == code_pb2.PERMISSION_DENIED
    assert info_of(status).reason == "AUDIENCE_NOT_ALLOWED"


@of_each(OF_CUSTOMERS)
def test_a_key_without_the_capability_is_refused(
    grpc_channel: grpc.Channel, method: Any, little: Policy
) -> None:
    who = signed(audience=Audience.CUSTOMER, account="demo", policy_digest=little.digest())
    info = info_of(refusal(grpc_channel, method, REQUESTS[method.name], who))
    assert info.reason == "CAPABILITY_MISSING"
    assert dict(info.metadata) == {"capability": RULES[path(method)].capability}


@of_each(OF_CUSTOMERS)
def test_a_policy_that_auth_does_not_know_lets_nothing_pass(
    grpc_channel: grpc.Channel, method: Any
) -> None:
    unknown = signed(audience=Audience.CUSTOMER, account="demo", policy_digest=bytes(32))
    status = refusal(grpc_channel, method, REQUESTS[method.name], unknown)
    assert info_of(status).reason == "DEPENDENCY_UNAVAILABLE"


def person(role: "Role.ValueType", account: str = "demo") -> Metadata:
    return signed(audience=Audience.SESSION, account=account, subject="e" * 16, role=role)


@of_each(FOR_PEOPLE)
def test_who_may_only_look_does_not_act(grpc_channel: grpc.Channel, method: Any) -> None:
    who = person(Role.READ_ONLY)
    if RULES[path(method)].mutates:
        info = info_of(refusal(grpc_channel, method, REQUESTS[method.name], who))
        assert (info.reason, dict(info.metadata)) == ("ROLE_MISSING", {"role": "MEMBER"})
    elif method.name == "GetAntispamOperation":
        status = refusal(grpc_channel, method, REQUESTS[method.name], who)
        assert info_of(status).reason == "NOT_FOUND"
    else:
        assert call(grpc_channel, method, REQUESTS[method.name], who)


@of_each([each for each in FOR_PEOPLE if RULES[path(each)].mutates])
def test_a_member_acts_on_the_accounts_servers(grpc_channel: grpc.Channel, method: Any) -> None:
    """As far as it goes here: no gateway is set up, and nothing is blocked."""
    status = refusal(grpc_channel, method, REQUESTS[method.name], person(Role.MEMBER))
    blocked = "IP_NOT_BLOCKED" if method.name == "UnblockAntispam" else "NOT_SET_UP"
    assert info_of(status).reason == blocked


@of_each(FOR_PEOPLE)
def test_a_person_of_another_account_finds_nothing(grpc_channel: grpc.Channel, method: Any) -> None:
    status = refusal(grpc_channel, method, REQUESTS[method.name], person(Role.OWNER, "other"))
    missing = "NOT_FOUND" if method.name == "GetAntispamOperation" else "SERVER_NOT_GRANTED"
    assert info_of(status).reason == missing


def test_the_service_as_it_is_built_answers_customers_and_the_noc(
    grpc_channel: grpc.Channel, customer: Metadata, noc: Metadata
) -> None:
    def ask(name: str, who: Metadata) -> Any:
        [method] = [each for each in METHODS if each.name == name]
        return call(grpc_channel, method, REQUESTS[name], who)

    gateway = ask("PutGateway", noc)
    assert ask("ListGateways", noc).gateways == [gateway]
    assert not ask("GetAntihackStatus", customer).sources  # none protects it
    for name in ("UnbanAddress", "UnblockUsAddress"):
        [method] = [each for each in METHODS if each.name == name]
        refused = refusal(grpc_channel, method, REQUESTS[name], customer)
        assert info_of(refused).reason == "NOT_SET_UP"
    addresses = ask("GetAntispamStatus", customer).addresses
    assert [each.ip for each in addresses] == ["203.0.113.9", "2001:db8::9"]
    unknown = antispam_pb2.AntispamAddress.UNKNOWN
    assert {each.listed for each in addresses} == {unknown}  # no zone is set up
    block = ask("PutSpamBlock", noc)
    [listed] = ask("ListSpamBlocks", noc).blocks
    assert (listed.ip, listed.blocked_since) == (block.ip, block.blocked_since)
    assert ask("LiftSpamBlock", noc).state == antispam_pb2.AntispamAddress.UNBLOCKED
    assert ask("DeleteGateway", noc) == empty_pb2.Empty()
