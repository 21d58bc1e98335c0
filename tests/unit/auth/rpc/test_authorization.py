import base64
import time
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import grpc
import pytest
from f2h.auth.v1 import key_pb2, key_pb2_grpc
from f2h.edge.v1 import authorization_pb2, authorization_pb2_grpc
from google.rpc import code_pb2, status_pb2

from services.auth.keys.secret import generate
from services.runtime.access import Audience
from services.runtime.clock import system_clock
from services.runtime.policy import Policy
from services.runtime.principal import HEADER, PrincipalVerifier
from tests.postgres import Postgres
from tests.unit.auth.rpc.conftest import ServeAuth, new_database
from tests.unit.serving import SIGNING_KEY, info_of, new_address, signed

REBOOT = "/f2h.server_ops.v1.RebootService/RebootServer"
OVERWRITE = authorization_pb2.HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD


@pytest.fixture(scope="module")
def grpc_stub_cls() -> type[authorization_pb2_grpc.AuthorizationStub]:
    return authorization_pb2_grpc.AuthorizationStub


def question(
    key: str | None,
    *,
    path: str = REBOOT,
    listener: str = "public",
    address: str = "203.0.113.4",
    **headers: str,
) -> authorization_pb2.CheckRequest:
    """What Envoy asks."""
    sent = {"x-f2h-client": address, **headers, **({} if key is None else {"x-api-key": key})}
    return authorization_pb2.CheckRequest(
        attributes=authorization_pb2.AttributeContext(
            request=authorization_pb2.AttributeContext.Request(
                http=authorization_pb2.AttributeContext.HttpRequest(path=path, headers=sent)
            ),
            context_extensions={"listener": listener},
        )
    )


def new_key(channel: grpc.Channel, **changes: Any) -> key_pb2.CreateKeyResponse:
    filled = {"account": "demo", "servers": ["ns1.example.net"], "capabilities": ["server.reboot"]}
    return key_pb2_grpc.KeyServiceStub(channel).CreateKey(
        key_pb2.CreateKeyRequest(**{**filled, **changes}), metadata=signed(audience=Audience.NOC)
    )


def revoke(channel: grpc.Channel, key_id: str) -> None:
    key_pb2_grpc.KeyServiceStub(channel).RevokeKey(
        key_pb2.RevokeKeyRequest(id=key_id), metadata=signed(audience=Audience.NOC)
    )


def denial(answer: authorization_pb2.CheckResponse) -> status_pb2.Status:
    """The Status of a refusal, which has the one form that all of them have."""
    assert answer.WhichOneof("http_response") == "denied_response"
    denied = answer.denied_response
    assert denied.body == ""
    headers = {option.header.key: option.header.value for option in denied.headers}
    assert len(denied.headers) == len(headers)
    assert {*headers} - {"retry-after"} == {
        "content-type",
        "grpc-status",
        "grpc-message",
        "grpc-status-details-bin",
    }
    assert headers["content-type"] == "application/grpc"
    details = headers["grpc-status-details-bin"]
    padded = details + "=" * (-len(details) % 4)
    status = status_pb2.Status.FromString(base64.b64decode(padded, validate=True))
    assert answer.status.code == status.code != code_pb2.OK
    assert headers["grpc-status"] == str(status.code)
    assert headers["grpc-message"].isascii()
    assert headers["grpc-message"].isprintable()
    assert unquote(headers["grpc-message"]) == status.message
    return status


def reason(answer: authorization_pb2.CheckResponse) -> str:
    return str(info_of(denial(answer)).reason)


def test_a_good_key_passes_with_a_principal_and_without_itself(
    grpc_channel: grpc.Channel, grpc_stub: authorization_pb2_grpc.AuthorizationStub
) -> None:
    made = new_key(grpc_channel)
    answer = grpc_stub.Check(question(made.secret))
    assert answer.status.code == code_pb2.OK
    [option] = answer.ok_response.headers
    assert option.header.key == HEADER
    assert option.append_action == OVERWRITE, "what the caller sent is not kept beside it"
    assert [*answer.ok_response.headers_to_remove] == ["x-api-key", "authorization", "cookie"]
    verifier = PrincipalVerifier({1: SIGNING_KEY.public_key()}, system_clock)
    principal = verifier.verify(option.header.value)
    assert (principal.subject, principal.account) == (made.key.id, "demo")
    assert principal.policy_digest == Policy(made.key.capabilities, made.key.servers).digest()
    assert dict(answer.dynamic_metadata) == {
        "subject": made.key.id,
        "capability": "server.reboot",
    }


def test_a_public_call_passes_without_a_principal(
    grpc_stub: authorization_pb2_grpc.AuthorizationStub,
) -> None:
    path = "/f2h.auth.v1.CapabilityService/ListCapabilities"
    answer = grpc_stub.Check(question(None, path=path))
    assert answer.status.code == code_pb2.OK
    assert not answer.ok_response.headers
    assert [*answer.ok_response.headers_to_remove] == ["x-api-key", "authorization", "cookie"]


def test_every_refusal_has_one_form_and_its_own_reason(
    grpc_channel: grpc.Channel, grpc_stub: authorization_pb2_grpc.AuthorizationStub
) -> None:
    good = new_key(grpc_channel).secret
    elsewhere = new_key(grpc_channel, cidrs=["192.0.2.0/24"]).secret
    incapable = new_key(grpc_channel, capabilities=["ipmi.status"]).secret
    keys = "/f2h.auth.v1.KeyService/ListKeys"
    told = {
        "CREDENTIAL_MISSING": question(None),
        "CREDENTIAL_INVALID": question(str(generate())),
        "ADDRESS_NOT_ALLOWED": question(elsewhere),
        "CAPABILITY_MISSING": question(incapable),
        "NOT_FOUND": question(good, path="/f2h.auth.v1.PolicyService/GetPolicy"),
        "AUDIENCE_NOT_ALLOWED": question(good, path=keys, listener="internal"),
    }
    assert {name: reason(grpc_stub.Check(asked)) for name, asked in told.items()} == {
        name: name for name in told
    }


def test_a_principal_that_the_caller_sends_is_no_credential(
    grpc_stub: authorization_pb2_grpc.AuthorizationStub,
) -> None:
    [(name, value)] = signed(audience=Audience.NOC)
    assert reason(grpc_stub.Check(question(None, **{name: value}))) == "CREDENTIAL_MISSING"


def test_an_empty_question_is_refused(
    grpc_stub: authorization_pb2_grpc.AuthorizationStub,
) -> None:
    assert reason(grpc_stub.Check(authorization_pb2.CheckRequest())) == "NOT_FOUND"


def test_a_client_whose_address_is_not_known_is_refused_by_a_key_with_networks(
    grpc_channel: grpc.Channel, grpc_stub: authorization_pb2_grpc.AuthorizationStub
) -> None:
    key = new_key(grpc_channel, cidrs=["0.0.0.0/0"]).secret
    assert reason(grpc_stub.Check(question(key, address=""))) == "ADDRESS_NOT_ALLOWED"


def test_a_revoked_key_is_refused_at_once_by_who_revoked_it(
    grpc_channel: grpc.Channel, grpc_stub: authorization_pb2_grpc.AuthorizationStub
) -> None:
    made = new_key(grpc_channel)
    assert grpc_stub.Check(question(made.secret)).status.code == code_pb2.OK
    revoke(grpc_channel, made.key.id)
    assert reason(grpc_stub.Check(question(made.secret))) == "KEY_REVOKED"


def test_a_revoked_key_is_refused_within_a_second_by_a_replica(
    grpc_channel: grpc.Channel, auth_database: str, serve_auth: ServeAuth
) -> None:
    address = new_address()
    with serve_auth(auth_database, address), grpc.insecure_channel(address) as channel:
        replica = authorization_pb2_grpc.AuthorizationStub(channel)
        for _ in range(3):
            made = new_key(grpc_channel)
            assert replica.Check(question(made.secret)).status.code == code_pb2.OK
            revoke(grpc_channel, made.key.id)
            revoked = time.monotonic()
            while replica.Check(question(made.secret)).status.code == code_pb2.OK:
                assert time.monotonic() - revoked < 1
                time.sleep(0.01)
            assert reason(replica.Check(question(made.secret))) == "KEY_REVOKED"


def test_without_its_database_nothing_passes_and_with_it_again_everything_does(
    postgres: Postgres, serve_auth: ServeAuth
) -> None:
    url, address = postgres.new_database(), new_address()
    new_database(url)
    with serve_auth(url, address), grpc.insecure_channel(address) as channel:
        stub = authorization_pb2_grpc.AuthorizationStub(channel)
        secret = new_key(channel).secret
        assert stub.Check(question(secret)).status.code == code_pb2.OK
        postgres.stop()
        try:
            time.sleep(0.6)  # a key that was just read passes for half a second
            status = denial(stub.Check(question(secret), timeout=20))
            assert status.code == code_pb2.UNAVAILABLE
            assert info_of(status).reason == "DEPENDENCY_UNAVAILABLE"
            for word in ("psycopg", "postgres", "socket", "SQL", "connection"):
                assert word.lower() not in status.message.lower()
            with pytest.raises(grpc.RpcError) as failed:
                new_key(channel)
            assert isinstance(failed.value, grpc.Call)
            assert failed.value.code() == grpc.StatusCode.UNAVAILABLE
        finally:
            postgres.start()
        assert stub.Check(question(secret)).status.code == code_pb2.OK
        assert new_key(channel).secret


def test_a_database_without_tables_lets_nothing_pass(tmp_path: Path, serve_auth: ServeAuth) -> None:
    address = new_address()
    with (
        serve_auth(f"sqlite:///{tmp_path / 'empty.db'}", address),
        grpc.insecure_channel(address) as channel,
    ):
        stub = authorization_pb2_grpc.AuthorizationStub(channel)
        assert reason(stub.Check(question(str(generate())))) == "DEPENDENCY_UNAVAILABLE"
        new_database(f"sqlite:///{tmp_path / 'empty.db'}")
        assert reason(stub.Check(question(str(generate())))) == "CREDENTIAL_INVALID"
        secret = new_key(channel).secret
        assert stub.Check(question(secret)).status.code == code_pb2.OK
