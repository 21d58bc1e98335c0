"""f2h.auth.v1.PrincipalService, of what people ask."""

from typing import Any

import grpc
import pytest
from f2h.auth.v1 import principal_pb2, principal_pb2_grpc, user_pb2, user_pb2_grpc

from services.runtime.access import Audience, Role
from tests.unit.serving import Metadata, info_of, signed, status_of

Stub = principal_pb2_grpc.PrincipalServiceStub


@pytest.fixture(scope="module")
def grpc_stub_cls() -> type[Stub]:
    return Stub


def reader(account: str) -> Metadata:
    return signed(audience=Audience.SESSION, subject="e" * 16, account=account, role=Role.READ_ONLY)


def asked(*ids: str) -> principal_pb2.ListPrincipalNamesRequest:
    return principal_pb2.ListPrincipalNamesRequest(ids=ids)


def test_a_colleague_is_named_and_a_stranger_is_not(
    grpc_stub: Stub, grpc_channel: grpc.Channel
) -> None:
    users = user_pb2_grpc.UserServiceStub(grpc_channel)
    noc = signed(audience=Audience.NOC, subject="f" * 16)
    form = user_pb2.CreateUserRequest(account="demo", email="named@example.net", role=Role.MEMBER)
    made = users.CreateUser(form, metadata=noc).user
    answer = grpc_stub.ListPrincipalNames(asked(made.id), metadata=reader("demo"))
    expected = principal_pb2.PrincipalName(
        id=made.id, audience=Audience.SESSION, name="named@example.net"
    )
    assert [*answer.names] == [expected]
    assert not grpc_stub.ListPrincipalNames(asked(made.id), metadata=reader("other")).names
    users.DeleteUser(user_pb2.DeleteUserRequest(id=made.id), metadata=noc)
    answer = grpc_stub.ListPrincipalNames(asked(made.id), metadata=reader("demo"))
    assert [*answer.names] == [expected]


@pytest.mark.parametrize("audience", [Audience.CUSTOMER, Audience.NOC, Audience.STAFF])
def test_nobody_but_people_of_the_account_is_told(grpc_stub: Stub, audience: Any) -> None:
    caller = signed(audience=audience, subject="a" * 16, account="demo", role=Role.OWNER)
    with pytest.raises(grpc.RpcError) as refused:
        grpc_stub.ListPrincipalNames(asked("e" * 16), metadata=caller)
    assert info_of(status_of(refused.value)).reason == "AUDIENCE_NOT_ALLOWED"


@pytest.mark.parametrize("ids", [["x"], ["a" * 16] * 2, [f"{n:016x}" for n in range(101)]])
def test_ids_are_ids_and_not_too_many(grpc_stub: Stub, ids: list[str]) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        grpc_stub.ListPrincipalNames(asked(*ids), metadata=reader("demo"))
    assert info_of(status_of(refused.value)).reason == "INVALID_REQUEST"
