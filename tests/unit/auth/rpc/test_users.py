from itertools import count
from typing import Any

import grpc
import pytest
from f2h.auth.v1 import user_pb2, user_pb2_grpc

from services.runtime.access import Audience, Role
from tests.unit.serving import Metadata, fields_of, info_of, signed, status_of

Stub = user_pb2_grpc.UserServiceStub

NOBODY = "0" * 16
CALLS = [
    ("CreateUser", user_pb2.CreateUserRequest(account="demo", email="a@x.net", role=Role.OWNER)),
    ("ListUsers", user_pb2.ListUsersRequest(account="demo")),
    ("UpdateUser", user_pb2.UpdateUserRequest(id=NOBODY, role=Role.OWNER)),
    ("ResetUser", user_pb2.ResetUserRequest(id=NOBODY)),
    ("EndUserSessions", user_pb2.EndUserSessionsRequest(id=NOBODY)),
    ("DeleteUser", user_pb2.DeleteUserRequest(id=NOBODY)),
]
NUMBERS = count()


@pytest.fixture(scope="module")
def grpc_stub_cls() -> type[Stub]:
    return Stub


@pytest.fixture
def noc() -> Metadata:
    return signed(audience=Audience.NOC, subject="f" * 16)


def refusal(rpc: Any, request: Any, metadata: Metadata = ()) -> Any:
    with pytest.raises(grpc.RpcError) as refused:
        rpc(request, metadata=metadata, timeout=10)
    return status_of(refused.value)


def form(**changes: Any) -> user_pb2.CreateUserRequest:
    filled = {"account": "demo", "email": f"user{next(NUMBERS)}@example.net", "role": Role.MEMBER}
    return user_pb2.CreateUserRequest(**{**filled, **changes})


@pytest.mark.parametrize(("name", "request_"), CALLS)
def test_only_the_noc_has_to_do_with_users(grpc_stub: Stub, name: str, request_: Any) -> None:
    people = signed(
        audience=Audience.SESSION, subject="e" * 16, account="demo", role=Role.OWNER, session="1"
    )
    rpc = getattr(grpc_stub, name)
    assert info_of(refusal(rpc, request_)).reason == "PRINCIPAL_INVALID"
    assert info_of(refusal(rpc, request_, people)).reason == "AUDIENCE_NOT_ALLOWED"


def test_a_password_that_is_made_is_shown_once(grpc_stub: Stub, noc: Metadata) -> None:
    wanted = form(email="Made@Example.net", account="other", role=Role.READ_ONLY)
    answer = grpc_stub.CreateUser(wanted, metadata=noc)
    assert len(answer.password) >= 24
    user = answer.user
    assert (user.email, user.account, user.role) == ("made@example.net", "other", Role.READ_ONLY)
    assert (user.disabled, user.second_factor) == (False, False)
    assert user.HasField("create_time")
    listed = grpc_stub.ListUsers(user_pb2.ListUsersRequest(account="other"), metadata=noc)
    assert [*listed.users] == [user]
    assert answer.password not in str(listed)


def test_a_password_that_is_chosen_is_not_shown(grpc_stub: Stub, noc: Metadata) -> None:
    assert grpc_stub.CreateUser(form(password="correct horse"), metadata=noc).password == ""


def test_an_address_is_had_once(grpc_stub: Stub, noc: Metadata) -> None:
    wanted = form()
    grpc_stub.CreateUser(wanted, metadata=noc)
    info = info_of(refusal(grpc_stub.CreateUser, wanted, noc))
    assert (info.reason, info.metadata["resource"]) == ("ALREADY_EXISTS", wanted.email)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"account": "nobody"}, "account"),
        ({"account": "No Body"}, "account"),
        ({"email": "nobody"}, "email"),
        ({"email": "a\0@example.net"}, "email"),
        ({"role": 0}, "role"),
        ({"role": 9}, "role"),
        ({"password": "short"}, "password"),
        ({"password": "x" * 257}, "password"),
    ],
)
def test_a_form_that_is_wrong_names_the_field(
    grpc_stub: Stub, noc: Metadata, changes: dict[str, Any], field: str
) -> None:
    assert fields_of(refusal(grpc_stub.CreateUser, form(**changes), noc)) == [field]


def test_what_is_not_said_stays_as_it_is(grpc_stub: Stub, noc: Metadata) -> None:
    user = grpc_stub.CreateUser(form(), metadata=noc).user
    request = user_pb2.UpdateUserRequest(id=user.id, disabled=True)
    changed = grpc_stub.UpdateUser(request, metadata=noc)
    assert (changed.disabled, changed.role) == (True, Role.MEMBER)
    request = user_pb2.UpdateUserRequest(id=user.id, role=Role.OWNER)
    changed = grpc_stub.UpdateUser(request, metadata=noc)
    assert (changed.disabled, changed.role) == (True, Role.OWNER)
    request = user_pb2.UpdateUserRequest(id=user.id, disabled=False)
    assert not grpc_stub.UpdateUser(request, metadata=noc).disabled


def test_a_change_of_nothing_is_refused(grpc_stub: Stub, noc: Metadata) -> None:
    user = grpc_stub.CreateUser(form(), metadata=noc).user
    status = refusal(grpc_stub.UpdateUser, user_pb2.UpdateUserRequest(id=user.id), noc)
    assert fields_of(status) == ["role"]


def test_a_reset_shows_another_password(grpc_stub: Stub, noc: Metadata) -> None:
    made = grpc_stub.CreateUser(form(), metadata=noc)
    answer = grpc_stub.ResetUser(user_pb2.ResetUserRequest(id=made.user.id), metadata=noc)
    assert answer.user == made.user
    assert len(answer.password) >= 24
    assert answer.password != made.password


def test_who_is_removed_is_not_found_again(grpc_stub: Stub, noc: Metadata) -> None:
    user = grpc_stub.CreateUser(form(account="full"), metadata=noc).user
    grpc_stub.EndUserSessions(user_pb2.EndUserSessionsRequest(id=user.id), metadata=noc)
    grpc_stub.DeleteUser(user_pb2.DeleteUserRequest(id=user.id), metadata=noc)
    listed = grpc_stub.ListUsers(user_pb2.ListUsersRequest(account="full"), metadata=noc)
    assert [*listed.users] == []


@pytest.mark.parametrize(("name", "request_"), CALLS[2:])
def test_nobody_is_not_found(grpc_stub: Stub, noc: Metadata, name: str, request_: Any) -> None:
    assert info_of(refusal(getattr(grpc_stub, name), request_, noc)).reason == "NOT_FOUND"


def test_pages_have_every_user_of_the_account_once(grpc_stub: Stub, noc: Metadata) -> None:
    emails = [f"page{number}@example.net" for number in range(5)]
    for email in reversed(emails):
        grpc_stub.CreateUser(form(account="paged", email=email), metadata=noc)
    found: list[list[str]] = []
    token = ""
    while True:
        request = user_pb2.ListUsersRequest(account="paged", page_size=2, page_token=token)
        page = grpc_stub.ListUsers(request, metadata=noc)
        found.append([each.email for each in page.users])
        token = page.next_page_token
        if not token:
            break
    assert found == [emails[:2], emails[2:4], emails[4:]]
