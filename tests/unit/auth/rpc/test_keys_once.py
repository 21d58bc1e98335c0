"""A request with an id of its own makes one key, and its secret is told once."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import count
from typing import Any

import grpc
import pytest
from f2h.auth.v1 import key_pb2, key_pb2_grpc
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import code_pb2

from services.runtime.access import Audience, Role
from services.runtime.request_id import IDEMPOTENCY_KEY
from tests.unit.serving import Metadata, info_of, signed, status_of

AT_ONCE = 20

Call = Callable[[str, Metadata], key_pb2.CreateKeyResponse]
"""Makes a key: the field request_id, and the metadata."""

_ids = count()


@pytest.fixture(scope="module")
def grpc_stub_cls() -> type[key_pb2_grpc.KeyServiceStub]:
    return key_pb2_grpc.KeyServiceStub


@pytest.fixture
def again() -> str:
    """A request id that was not used before."""
    return f"again-{next(_ids)}_B"


def noc() -> Metadata:
    """A principal holds for half a minute, so each call has a new one."""
    return signed(audience=Audience.NOC, subject="f" * 16)


def person(subject: str, account: str = "demo") -> Metadata:
    return signed(audience=Audience.SESSION, subject=subject, account=account, role=Role.MEMBER)


def form(**changes: Any) -> key_pb2.CreateKeyRequest:
    filled = {"account": "demo", "label": "once", "capabilities": ["antihack.us_unblock"]}
    return key_pb2.CreateKeyRequest(**{**filled, **changes})


@pytest.fixture(params=["CreateKey", "RotateKey"])
def call(request: pytest.FixtureRequest, grpc_stub: key_pb2_grpc.KeyServiceStub) -> Call:
    """Each of the calls that make a key, of one form."""
    if request.param == "CreateKey":
        return lambda id_, metadata: grpc_stub.CreateKey(form(request_id=id_), metadata=metadata)
    old = grpc_stub.CreateKey(form(), metadata=noc()).key.id
    return lambda id_, metadata: grpc_stub.RotateKey(
        key_pb2.RotateKeyRequest(id=old, request_id=id_), metadata=metadata
    )


def refusal(rpc: Callable[[], Any]) -> tuple[int, str, dict[str, str]]:
    """Code, reason and metadata."""
    with pytest.raises(grpc.RpcError) as refused:
        rpc()
    status = status_of(refused.value)
    info = info_of(status)
    return status.code, info.reason, dict(info.metadata)


def keys(stub: key_pb2_grpc.KeyServiceStub) -> set[str]:
    """The ids of demo's keys."""
    listed = stub.ListKeys(key_pb2.ListKeysRequest(account="demo", page_size=1000), metadata=noc())
    return {key.id for key in listed.keys}


def test_the_same_again_names_the_key_and_has_no_secret(
    grpc_stub: key_pb2_grpc.KeyServiceStub, call: Call, again: str
) -> None:
    made = call(again, noc())
    before = keys(grpc_stub)
    said = code_pb2.ALREADY_EXISTS, "SECRET_GIVEN", {"key": made.key.id}
    for _ in range(2):
        with pytest.raises(grpc.RpcError) as refused:
            call(again, noc())
        status = status_of(refused.value)
        assert (status.code, info_of(status).reason, dict(info_of(status).metadata)) == said
        assert made.secret.split(".")[2].encode() not in status.SerializeToString()
    assert refusal(partial(call, "", (*noc(), (IDEMPOTENCY_KEY, again)))) == said
    assert keys(grpc_stub) == before
    grpc_stub.RevokeKey(key_pb2.RevokeKeyRequest(id=made.key.id), metadata=noc())
    assert refusal(partial(call, again, noc())) == said


def test_the_header_says_the_same_as_the_field(
    grpc_stub: key_pb2_grpc.KeyServiceStub, call: Call, again: str
) -> None:
    made = call("", (*noc(), (IDEMPOTENCY_KEY, again)))
    assert refusal(partial(call, again, noc()))[1:] == ("SECRET_GIVEN", {"key": made.key.id})


@pytest.mark.parametrize(("field", "header"), [("a", "b"), ("", ""), ("", "a b"), ("a" * 65, "a")])
def test_an_id_that_is_none_is_refused(
    grpc_stub: key_pb2_grpc.KeyServiceStub, call: Call, field: str, header: str
) -> None:
    before = keys(grpc_stub)
    code, reason, _ = refusal(partial(call, field, (*noc(), (IDEMPOTENCY_KEY, header))))
    assert (code, reason) == (code_pb2.INVALID_ARGUMENT, "INVALID_REQUEST")
    assert keys(grpc_stub) == before


def test_many_at_once_make_one_key(
    grpc_stub: key_pb2_grpc.KeyServiceStub, call: Call, again: str
) -> None:
    before = keys(grpc_stub)

    def answer(_number: int) -> tuple[str, str]:
        try:
            return "", call(again, noc()).key.id
        except grpc.RpcError as error:
            info = info_of(status_of(error))
            return info.reason, info.metadata["key"]

    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = sorted(pool.map(answer, range(AT_ONCE)))
    [made] = keys(grpc_stub) - before
    assert answers == [("", made), *[("SECRET_GIVEN", made)] * (AT_ONCE - 1)]


@pytest.mark.parametrize(
    "changes",
    [
        {"label": "other"},
        {"capabilities": ["antihack.us_unblock", "server.details"], "servers": ["ns1.example.net"]},
        {"cidrs": ["192.0.2.0/24"]},
        {"account": "other"},
        {"no_expiry": True},
        {"expire_time": Timestamp(seconds=2**32)},
    ],
)
def test_another_form_with_the_same_id_is_refused(
    grpc_stub: key_pb2_grpc.KeyServiceStub, again: str, changes: dict[str, Any]
) -> None:
    made = grpc_stub.CreateKey(form(request_id=again), metadata=noc())
    before = keys(grpc_stub)
    other = form(request_id=again, **changes)
    assert refusal(partial(grpc_stub.CreateKey, other, metadata=noc())) == (
        code_pb2.ALREADY_EXISTS,
        "REQUEST_ID_REUSED",
        {"key": made.key.id},
    )
    assert keys(grpc_stub) == before


def test_another_rotation_with_the_same_id_is_refused(
    grpc_stub: key_pb2_grpc.KeyServiceStub, again: str
) -> None:
    first, second = (grpc_stub.CreateKey(form(), metadata=noc()).key.id for _ in range(2))
    one_day = key_pb2.RotateKeyRequest.ONE_DAY
    request = key_pb2.RotateKeyRequest(id=first, overlap=one_day, request_id=again)
    made = grpc_stub.RotateKey(request, metadata=noc())
    said = code_pb2.ALREADY_EXISTS, "REQUEST_ID_REUSED", {"key": made.key.id}
    for other in (
        key_pb2.RotateKeyRequest(id=second, overlap=one_day, request_id=again),
        key_pb2.RotateKeyRequest(id=first, request_id=again),
    ):
        assert refusal(partial(grpc_stub.RotateKey, other, metadata=noc())) == said
    assert refusal(partial(grpc_stub.CreateKey, form(request_id=again), metadata=noc())) == said
    key = grpc_stub.GetKey(key_pb2.GetKeyRequest(id=second), metadata=noc())
    assert key.replaced_by == ""


def test_an_own_account_that_is_left_out_is_the_same_form(
    grpc_stub: key_pb2_grpc.KeyServiceStub, again: str
) -> None:
    who = person("a" * 16)
    made = grpc_stub.CreateKey(form(account="", request_id=again), metadata=who)
    same = partial(grpc_stub.CreateKey, form(request_id=again), metadata=who)
    assert refusal(same)[1:] == ("SECRET_GIVEN", {"key": made.key.id})


def test_an_id_is_its_callers_alone(grpc_stub: key_pb2_grpc.KeyServiceStub, again: str) -> None:
    before = keys(grpc_stub)
    callers = [noc(), person("1" * 16), person("2" * 16)]
    made = {grpc_stub.CreateKey(form(request_id=again), metadata=each).key.id for each in callers}
    assert keys(grpc_stub) - before == made
    assert len(made) == len(callers)


def test_a_form_that_was_refused_did_not_use_its_id(
    grpc_stub: key_pb2_grpc.KeyServiceStub, again: str
) -> None:
    wrong = form(request_id=again, capabilities=["server.reboot"])
    assert refusal(partial(grpc_stub.CreateKey, wrong, metadata=noc()))[1] == "INVALID_REQUEST"
    assert grpc_stub.CreateKey(form(request_id=again), metadata=noc()).secret


def test_without_an_id_every_request_is_a_new_one(grpc_stub: key_pb2_grpc.KeyServiceStub) -> None:
    first, second = (grpc_stub.CreateKey(form(), metadata=noc()).key.id for _ in range(2))
    assert first != second
