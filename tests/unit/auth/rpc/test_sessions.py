"""Sessions, asked of the service itself: what the edge adds, the tests add."""

from itertools import count
from typing import Any

import grpc
import pyotp
import pytest
from f2h.access.v1.reason_pb2 import Reason
from f2h.auth.v1 import audit_pb2, audit_pb2_grpc, session_pb2, session_pb2_grpc, user_pb2
from f2h.auth.v1.user_pb2_grpc import UserServiceStub

from services.auth.keys.secret import SESSION_PREFIX, parse
from services.auth.rpc.sessions import LISTENER
from services.auth.sessions.cookie import session_text
from services.runtime.access import Audience, Role
from services.runtime.call import CLIENT, REQUEST_ID
from services.runtime.clock import system_clock
from tests.unit.serving import Metadata, fields_of, info_of, signed, status_of

Stub = session_pb2_grpc.SessionServiceStub

PASSWORD = "correct horse battery"
NUMBERS = count(1)

SIGNED_IN = [
    ("Logout", session_pb2.LogoutRequest()),
    ("GetMe", session_pb2.GetMeRequest()),
    ("ChangePassword", session_pb2.ChangePasswordRequest(password="x", new_password="y" * 12)),
    ("BeginSecondFactor", session_pb2.BeginSecondFactorRequest()),
    ("ConfirmSecondFactor", session_pb2.ConfirmSecondFactorRequest(code="123456")),
    ("RemoveSecondFactor", session_pb2.RemoveSecondFactorRequest(code="123456")),
]


@pytest.fixture(scope="module")
def grpc_stub_cls() -> type[Stub]:
    return Stub


def noc() -> Metadata:
    return signed(audience=Audience.NOC, subject="f" * 16)


@pytest.fixture
def user(grpc_channel: grpc.Channel) -> user_pb2.User:
    """A new user with PASSWORD."""
    form = user_pb2.CreateUserRequest(
        account="demo",
        email=f"person{next(NUMBERS)}@example.net",
        role=Role.MEMBER,
        password=PASSWORD,
    )
    return UserServiceStub(grpc_channel).CreateUser(form, metadata=noc()).user


def edge(listener: str = "public") -> Metadata:
    """What the edge says of a call; each comes from an address of its own."""
    number = next(NUMBERS)
    return ((LISTENER, listener), (CLIENT, f"2001:db8:{number:x}::1"), (REQUEST_ID, f"r{number}"))


class Person:
    """Somebody who is signed in."""

    def __init__(self, stub: Stub, user: user_pb2.User, **more: str) -> None:
        form = session_pb2.LoginRequest(email=user.email, password=PASSWORD, **more)
        self.session, call = stub.Login.with_call(form, metadata=edge())
        self.cookie = str(dict(call.initial_metadata())["set-cookie"])
        token = parse(session_text(self.cookie.partition(";")[0], secure=False), SESSION_PREFIX)
        assert token is not None
        self._fields = {"subject": user.id, "account": user.account, "session": token.id}

    @property
    def metadata(self) -> Metadata:
        """Of a call by this person, as the check makes it."""
        principal = signed(audience=Audience.SESSION, role=Role.MEMBER, **self._fields)
        return principal + edge()


def refusal(rpc: Any, request: Any, metadata: Metadata = ()) -> Any:
    with pytest.raises(grpc.RpcError) as refused:
        rpc(request, metadata=metadata, timeout=10)
    return status_of(refused.value)


def reason(rpc: Any, request: Any, metadata: Metadata = ()) -> str:
    return str(info_of(refusal(rpc, request, metadata)).reason)


@pytest.mark.parametrize(("name", "request_"), SIGNED_IN)
def test_who_is_not_signed_in_is_refused(grpc_stub: Stub, name: str, request_: Any) -> None:
    rpc = getattr(grpc_stub, name)
    assert reason(rpc, request_, edge()) == "PRINCIPAL_INVALID"
    key = signed(audience=Audience.CUSTOMER, subject="e" * 16, account="demo")
    assert reason(rpc, request_, key) == "AUDIENCE_NOT_ALLOWED"


def test_signing_in_answers_a_session_and_sends_the_token_in_a_cookie_only(
    grpc_stub: Stub, user: user_pb2.User
) -> None:
    person = Person(grpc_stub, user)
    assert person.session.user == user
    hours = person.session.expire_time.seconds - person.session.create_time.seconds
    assert f"Max-Age={hours}" in person.cookie
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= {*person.cookie.split("; ")}
    token = session_text(person.cookie.partition(";")[0], secure=False)
    assert token not in str(person.session)
    later = grpc_stub.GetMe(session_pb2.GetMeRequest(), metadata=person.metadata)
    assert later.address != person.session.address, "each call comes from an address of its own"
    later.address = person.session.address
    assert later == person.session


@pytest.mark.parametrize(
    ("seen", "told"),
    [
        ("203.0.113.4", "203.0.113.4"),
        ("::ffff:203.0.113.4", "203.0.113.4"),
        ("2001:DB8:0:0:0:0:0:4", "2001:db8::4"),
        ("fe80::4%eth0", "fe80::4"),
        ("<b>nothing</b>", ""),
        ("", ""),
    ],
)
def test_a_person_is_told_the_address_that_the_call_came_from(
    grpc_stub: Stub, user: user_pb2.User, seen: str, told: str
) -> None:
    principal = Person(grpc_stub, user).metadata[:1]
    metadata = (*principal, (CLIENT, seen))
    assert grpc_stub.GetMe(session_pb2.GetMeRequest(), metadata=metadata).address == told


@pytest.mark.parametrize("listener", ["internal", "INTERNAL", ""])
def test_a_customer_signs_in_on_the_public_side(
    grpc_stub: Stub, user: user_pb2.User, listener: str
) -> None:
    form = session_pb2.LoginRequest(email=user.email, password=PASSWORD)
    if listener == "internal":
        assert reason(grpc_stub.Login, form, edge(listener)) == "SIGN_IN_FAILED"
    else:
        assert grpc_stub.Login(form, metadata=edge(listener)).user == user


def test_who_is_refused_gets_no_cookie(grpc_stub: Stub, user: user_pb2.User) -> None:
    form = session_pb2.LoginRequest(email=user.email, password="wrong")
    with pytest.raises(grpc.RpcError) as refused:
        grpc_stub.Login(form, metadata=edge())
    assert isinstance(refused.value, grpc.Call)
    assert "set-cookie" not in dict(refused.value.initial_metadata() or ())
    assert info_of(status_of(refused.value)).reason == "SIGN_IN_FAILED"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"email": ""}, "email"),
        ({"email": "x" * 255}, "email"),
        ({"email": "a\0@example.net"}, "email"),
        ({"password": ""}, "password"),
        ({"password": "x" * 257}, "password"),
        ({"code": "1" * 33}, "code"),
    ],
)
def test_a_form_that_is_wrong_names_the_field(
    grpc_stub: Stub, changes: dict[str, str], field: str
) -> None:
    form = session_pb2.LoginRequest(**{"email": "a@example.net", "password": "x", **changes})
    assert fields_of(refusal(grpc_stub.Login, form, edge())) == [field]


def test_signing_out_ends_one_session_or_all_and_clears_the_cookie(
    grpc_stub: Stub, user: user_pb2.User
) -> None:
    first, second, third = (Person(grpc_stub, user) for _ in range(3))
    _, call = grpc_stub.Logout.with_call(session_pb2.LogoutRequest(), metadata=first.metadata)
    assert "Max-Age=0" in dict(call.initial_metadata())["set-cookie"]
    me = session_pb2.GetMeRequest()
    assert reason(grpc_stub.GetMe, me, first.metadata) == "SESSION_INVALID"
    grpc_stub.GetMe(me, metadata=second.metadata)
    grpc_stub.Logout(session_pb2.LogoutRequest(everywhere=True), metadata=second.metadata)
    for each in (second, third):
        assert reason(grpc_stub.GetMe, me, each.metadata) == "SESSION_INVALID"


def test_a_new_password_keeps_this_session_and_ends_the_others(
    grpc_stub: Stub, user: user_pb2.User
) -> None:
    mine, other = Person(grpc_stub, user), Person(grpc_stub, user)
    form = session_pb2.ChangePasswordRequest(password=PASSWORD, new_password="another password")
    grpc_stub.ChangePassword(form, metadata=mine.metadata)
    me = session_pb2.GetMeRequest()
    grpc_stub.GetMe(me, metadata=mine.metadata)
    assert reason(grpc_stub.GetMe, me, other.metadata) == "SESSION_INVALID"
    assert reason(grpc_stub.ChangePassword, form, mine.metadata) == "SIGN_IN_FAILED"


def test_a_second_factor_is_set_up_asked_for_and_taken_off(
    grpc_stub: Stub, user: user_pb2.User
) -> None:
    person = Person(grpc_stub, user)
    begin = session_pb2.BeginSecondFactorRequest(password=PASSWORD)
    begun = grpc_stub.BeginSecondFactor(begin, metadata=person.metadata)
    assert pyotp.parse_uri(begun.uri).secret == begun.secret
    code = pyotp.TOTP(begun.secret).at(system_clock())
    confirm = session_pb2.ConfirmSecondFactorRequest(code=code)
    codes = grpc_stub.ConfirmSecondFactor(confirm, metadata=person.metadata).recovery_codes
    assert len({*codes}) == 10
    assert reason(grpc_stub.ConfirmSecondFactor, confirm, person.metadata) == "NOT_SET_UP"
    form = session_pb2.LoginRequest(email=user.email, password=PASSWORD)
    assert reason(grpc_stub.Login, form, edge()) == "SECOND_FACTOR_REQUIRED"
    again = Person(grpc_stub, user, code=codes[0])
    assert again.session.user.second_factor
    remove = session_pb2.RemoveSecondFactorRequest(password=PASSWORD, code=codes[0])
    assert reason(grpc_stub.RemoveSecondFactor, remove, again.metadata) == "SIGN_IN_FAILED"
    remove.code = codes[1]
    grpc_stub.RemoveSecondFactor(remove, metadata=again.metadata)
    assert not Person(grpc_stub, user).session.user.second_factor
    assert reason(grpc_stub.RemoveSecondFactor, remove, again.metadata) == "NOT_SET_UP"


def test_without_a_provider_nobody_signs_in_there(grpc_stub: Stub) -> None:
    begin = session_pb2.BeginOidcLoginRequest()
    assert reason(grpc_stub.BeginOidcLogin, begin, edge()) == "NOT_SET_UP"
    form = session_pb2.LoginWithOidcRequest(attempt="a", code="b", state="c")
    assert reason(grpc_stub.LoginWithOidc, form, edge()) == "NOT_SET_UP"


def test_attempts_are_in_the_audit_trail_with_where_they_came_from(
    grpc_stub: Stub, grpc_channel: grpc.Channel, user: user_pb2.User
) -> None:
    forms = [
        session_pb2.LoginRequest(email=user.email, password=password)
        for password in ("wrong", PASSWORD)
    ]
    refused, accepted = edge(), edge()
    assert reason(grpc_stub.Login, forms[0], refused) == "SIGN_IN_FAILED"
    grpc_stub.Login(forms[1], metadata=accepted)
    wanted = audit_pb2.ListAuditRecordsRequest(account="demo", subject=user.id, method="Login")
    stub = audit_pb2_grpc.AuditServiceStub(grpc_channel)
    found = stub.ListAuditRecords(wanted, metadata=noc()).records
    assert [(each.outcome, each.reason) for each in found] == [
        (audit_pb2.AuditRecord.ACCEPTED, ""),
        (audit_pb2.AuditRecord.REFUSED, Reason.Name(Reason.SIGN_IN_FAILED)),
    ]
    for record, said in zip(found, (accepted, refused), strict=True):
        assert (record.address, record.request) == (dict(said)[CLIENT], dict(said)[REQUEST_ID])
        assert record.method == "/f2h.auth.v1.SessionService/Login"
