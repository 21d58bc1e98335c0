"""Short-lived tokens, which the real Envoy verifies without auth."""

import base64
import json
import time

import grpc
import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from f2h.server_ops.v1 import server_pb2, server_pb2_grpc

from tests.integration.conftest import IN_THE_CLEAR, Key, System, eventually, reason


@pytest.fixture(scope="module")
def system(own_system: System) -> System:
    """Its own."""
    return own_system


def token(system: System, key: Key, **form: object) -> str:
    answer = system.rest("POST", "/api/auth/token", key, json=form)
    assert answer.status_code == 200, answer.text
    said = answer.json()
    assert said["token_type"] == "Bearer"
    return str(said["access_token"])


def get(system: System, path: str, text: str, **headers: str) -> httpx.Response:
    bearer = {"Authorization": f"Bearer {text}", **headers}
    return httpx.get(f"{system.stack.url}{path}", headers=bearer, verify=IN_THE_CLEAR, timeout=20)


@pytest.fixture(scope="module")
def server(system: System) -> str:
    return system.server(system.bmc())


@pytest.fixture(scope="module")
def key(system: System, server: str) -> Key:
    """A key; the edge has fetched what its tokens are verified with."""
    made = system.key(server)
    first = token(system, made)
    eventually(lambda: get(system, f"/api/servers/{server}", first).is_success, 20)
    return made


def test_a_token_does_what_its_key_may_over_rest_and_grpc(
    system: System, server: str, key: Key
) -> None:
    text = token(system, key)
    assert get(system, f"/api/servers/{server}", text).json()["hostname"] == server
    servers = server_pb2_grpc.ServerServiceStub(system.channel)
    request = server_pb2.GetServerRequest(hostname=server)
    bearer = (("authorization", f"Bearer {text}"),)
    assert servers.GetServer(request, metadata=bearer, timeout=10).hostname == server
    answer = get(system, f"/api/servers/{server}/antihack", text)
    assert (answer.status_code, reason(answer)) == (403, "CAPABILITY_MISSING")
    other = system.server(system.bmc())
    answer = get(system, f"/api/servers/{other}", text)
    assert (answer.status_code, reason(answer)) == (403, "SERVER_NOT_GRANTED")


def test_a_narrower_token_is_narrower_and_no_token_is_wider(
    system: System, server: str, key: Key
) -> None:
    text = token(system, key, capabilities=["server.reboot"])
    answer = get(system, f"/api/servers/{server}", text)
    assert (answer.status_code, reason(answer)) == (403, "CAPABILITY_MISSING")
    wider = system.rest("POST", "/api/auth/token", key, json={"capabilities": ["ptr.update"]})
    assert (wider.status_code, reason(wider)) == (400, "INVALID_REQUEST")
    again = httpx.post(
        f"{system.stack.url}/api/auth/token",
        headers={"Authorization": f"Bearer {text}"},
        json={},
    )
    assert (again.status_code, reason(again)) == (403, "AUDIENCE_NOT_ALLOWED")


def test_a_token_is_good_from_its_keys_networks_only(system: System, server: str, key: Key) -> None:
    at_home = system.key(server, cidrs=["127.0.0.0/8"])
    text = token(system, at_home)
    assert get(system, f"/api/servers/{server}", text).status_code == 200
    body = {"cidrs": ["203.0.113.0/24"], "account": "acme"}
    moved = system.noc("PATCH", f"/api/keys/{at_home.id}", json={"cidrs": body["cidrs"]})
    assert moved.status_code == 200, moved.text
    answer = system.rest("POST", "/api/auth/token", at_home, json={})
    assert (answer.status_code, reason(answer)) == (403, "ADDRESS_NOT_ALLOWED")


def test_a_forged_changed_or_foreign_token_is_refused(
    system: System, server: str, key: Key
) -> None:
    text = token(system, key)
    head, body, signature = text.split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    stranger = Ed25519PrivateKey.generate()
    later = {**claims, "exp": int(time.time()) + 9000}
    nothing = base64.urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=").decode()
    longer = base64.urlsafe_b64encode(json.dumps(later).encode()).rstrip(b"=").decode()
    forged = [
        jwt.encode(claims, stranger, algorithm="EdDSA", headers={"kid": "1"}),
        jwt.encode(claims, "secret" * 8, algorithm="HS256", headers={"kid": "1"}),
        f"{nothing}.{body}.",
        f"{head}.{longer}.{signature}",
        f"{head}.{body}.{signature[:-4]}AAAA",
        "nonsense",
        key.secret,
    ]
    for each in forged:
        answer = get(system, f"/api/servers/{server}", each)
        assert (answer.status_code, reason(answer)) == (401, "CREDENTIAL_INVALID"), each
        # Nor does it open anything beside a key that is not good.
        answer = get(system, f"/api/servers/{server}", each, **{"X-API-Key": "nonsense"})
        assert answer.status_code == 401


def test_a_token_opens_nothing_on_the_internal_listener(system: System, key: Key) -> None:
    bearer = {"Authorization": f"Bearer {token(system, key)}"}
    url = f"{system.stack.internal_url}/api/keys?account=acme"
    answer = httpx.get(url, headers=bearer, verify=system.trust)
    assert (answer.status_code, reason(answer)) == (401, "CREDENTIAL_MISSING")


def test_a_token_goes_no_further_than_the_edge_and_into_no_log(
    system: System, server: str, key: Key
) -> None:
    text = token(system, key)
    assert get(system, f"/api/servers/{server}", text).status_code == 200
    for log in system.stack.logs.iterdir():
        content = log.read_text()
        assert text not in content
        assert text.rpartition(".")[2] not in content


def test_with_auth_gone_a_token_still_reads_and_changes_nothing(
    system: System, server: str, key: Key
) -> None:
    """No audit record, no action: what a token saves is the question, not the record."""
    bmc = system.bmc()
    machine = system.server(bmc)
    mine = system.key(machine)
    text = token(system, mine)
    assert get(system, f"/api/servers/{machine}", text).status_code == 200
    system.stack.processes["auth"].stop()
    try:
        assert get(system, f"/api/servers/{machine}", text).status_code == 200
        assert system.rest("GET", f"/api/servers/{machine}", mine).status_code == 503
        answer = httpx.post(
            f"{system.stack.url}/api/servers/{machine}/reboot",
            headers={"Authorization": f"Bearer {text}"},
            timeout=20,
        )
        assert (answer.status_code, reason(answer)) == (503, "DEPENDENCY_UNAVAILABLE")
        shown = get(system, f"/api/servers/{machine}", text).json()
        assert not shown["current_operation"]
        assert bmc.chassis_commands() == 0
    finally:
        system.stack.start_service("auth")
    eventually(lambda: system.rest("GET", f"/api/servers/{machine}", mine).is_success, 20)
    with pytest.raises(grpc.RpcError):
        server_pb2_grpc.ServerServiceStub(system.channel).GetServer(
            server_pb2.GetServerRequest(hostname=machine), timeout=10
        )
