import copy
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from f2h.security.v1 import antihack_pb2, antispam_pb2
from google.protobuf import message_factory
from google.rpc import code_pb2

from services.runtime.access import Audience
from services.runtime.policy import Policy
from services.security.bootstrap import MODULES
from tests.unit.serving import Metadata, info_of, signed, status_of

REQUESTS: dict[str, Any] = {
    "GetAntihackStatus": antihack_pb2.GetAntihackStatusRequest(hostname="ns1.example.net"),
    "UnbanAddress": antihack_pb2.UnbanAddressRequest(hostname="ns1.example.net", ip="192.0.2.1"),
    "UnblockUsAddress": antihack_pb2.UnblockUsAddressRequest(
        ip="192.0.2.1", blocked_ip="192.0.2.2"
    ),
    "GetAntispamStatus": antispam_pb2.GetAntispamStatusRequest(hostname="ns1.example.net"),
    "UnblockAntispam": antispam_pb2.UnblockAntispamRequest(
        hostname="ns1.example.net", ip="192.0.2.1"
    ),
}

METHODS = [
    method
    for module in MODULES
    for service in module.DESCRIPTOR.services_by_name.values()
    for method in service.methods
]


@pytest.fixture(params=METHODS, ids=lambda method: method.name)
def method(request: pytest.FixtureRequest) -> Any:
    """Each RPC of the contract in turn."""
    return request.param


@pytest.fixture
def customer(everything: Policy) -> Metadata:
    return signed(audience=Audience.CUSTOMER, account="demo", policy_digest=everything.digest())


def call(channel: grpc.Channel, method: Any, request: Any, metadata: Metadata = ()) -> Any:
    """The error of a call of any RPC by its descriptor."""
    rpc = channel.unary_unary(
        f"/{method.containing_service.full_name}/{method.name}",
        request_serializer=type(request).SerializeToString,
        response_deserializer=message_factory.GetMessageClass(method.output_type).FromString,
    )
    with pytest.raises(grpc.RpcError) as refused:
        rpc(request, metadata=metadata, timeout=10)
    return status_of(refused.value)


def test_every_rpc_of_the_contract_is_tried_here() -> None:
    assert {method.name for method in METHODS} == REQUESTS.keys()


def test_what_is_not_built_says_so_to_who_may_call_it(
    grpc_channel: grpc.Channel, method: Any, customer: Metadata
) -> None:
    status = call(grpc_channel, method, REQUESTS[method.name], customer)
    assert status.code == code_pb2.UNIMPLEMENTED
    assert info_of(status).reason == "NOT_IMPLEMENTED"
    assert method.name in status.message


def test_a_call_past_the_edge_is_refused(grpc_channel: grpc.Channel, method: Any) -> None:
    status = call(grpc_channel, method, REQUESTS[method.name])
    assert status.code == code_pb2.UNAUTHENTICATED
    assert info_of(status).reason == "PRINCIPAL_INVALID"


def test_a_wrong_request_is_refused_before_it_is_said_that_nothing_is_built(
    grpc_channel: grpc.Channel, method: Any, customer: Metadata
) -> None:
    empty = message_factory.GetMessageClass(method.input_type)()
    assert info_of(call(grpc_channel, method, empty, customer)).reason == "INVALID_REQUEST"


def test_a_server_that_the_key_does_not_name_is_refused(
    grpc_channel: grpc.Channel, method: Any, customer: Metadata
) -> None:
    if "hostname" not in method.input_type.fields_by_name:
        return  # it names its server by an IP, which is resolved where it will be built
    request = copy.deepcopy(REQUESTS[method.name])
    request.hostname = "ns2.example.net"
    info = info_of(call(grpc_channel, method, request, customer))
    assert (info.reason, dict(info.metadata)) == (
        "SERVER_NOT_GRANTED",
        {"server": "ns2.example.net"},
    )


@pytest.fixture(params=["NOC", "SESSION", "SERVICE", "FORWARDED", "PUBLIC"])
def stranger(request: pytest.FixtureRequest) -> Iterator[Metadata]:
    """A caller of a kind that security does not serve, or does not let do this."""
    yield signed(audience=Audience.Value(request.param))


def test_callers_of_other_kinds_are_refused(
    grpc_channel: grpc.Channel, method: Any, stranger: Metadata
) -> None:
    status = call(grpc_channel, method, REQUESTS[method.name], stranger)
    assert status.code == code_pb2.PERMISSION_DENIED
    assert info_of(status).reason in {"AUDIENCE_NOT_ALLOWED", "ROLE_MISSING"}


def test_a_policy_that_auth_does_not_know_lets_nothing_pass(
    grpc_channel: grpc.Channel, method: Any
) -> None:
    unknown = signed(audience=Audience.CUSTOMER, account="demo", policy_digest=bytes(32))
    status = call(grpc_channel, method, REQUESTS[method.name], unknown)
    assert info_of(status).reason == "DEPENDENCY_UNAVAILABLE"
