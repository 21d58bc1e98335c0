"""Tokens: verified by the edge alone, and the only thing for which auth is not asked."""

import json
import time
from collections.abc import Callable, Iterator
from http.client import HTTPResponse
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.edge.conftest import Edge, takes, variant
from tests.edge.stand_ins import GOOD_KEY, PRINCIPAL, Auth, eventually
from tests.edge.tokens import CLAIMED, TOKEN_KEY, bearer, token, token_keys

SERVERS = "/api/servers"
LIST = "/f2h.server_ops.v1.ServerService/ListServers"


def test_a_right_token_passes_without_asking_auth_and_brings_its_principal(edge: Edge) -> None:
    rest = edge.public.rest("GET", SERVERS, key=None, headers=bearer(token()))
    native = edge.public.grpc(LIST, key=None, metadata=bearer(token()))
    assert (rest.status, rest.error, native.error) == (200, None, None)
    assert edge.auth.seen == []
    calls = edge.services["server_ops"].seen
    assert [call.metadata["x-f2h-principal"] for call in calls] == [CLAIMED] * 2
    for call in calls:
        assert "authorization" not in call.metadata


WRONG: dict[str, Callable[[], str]] = {
    "another key": lambda: token(Ed25519PrivateKey.generate()),
    "an unknown key's number": lambda: token(kid="2"),
    "a secret that everybody knows": lambda: token("f2hcloud" * 8, "HS256"),
    "expired": lambda: token(exp=int(time.time()) - 5),
    "another issuer": lambda: token(iss="somebody"),
    "another audience": lambda: token(aud="somebody"),
    "no audience": lambda: token(aud=None),
    "nonsense": lambda: "nonsense",
    "a key": lambda: GOOD_KEY,
}


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("key", [None, GOOD_KEY])
def test_a_token_that_is_not_right_is_refused_whatever_else_is_shown(
    edge: Edge, wrong: str, key: str | None
) -> None:
    text = WRONG[wrong]()
    rest = edge.public.rest("GET", SERVERS, key=key, headers=bearer(text))
    native = edge.public.grpc(LIST, key=key, metadata=bearer(text))
    assert (rest.status, rest.reason, native.reason) == (
        401,
        "CREDENTIAL_INVALID",
        "CREDENTIAL_INVALID",
    )
    assert edge.reached() == []
    assert edge.auth.seen == []


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Basic Zm9vOmJhcg=="},
        {"x-authorization": "Bearer TOKEN"},
        {"cookie": "authorization=TOKEN; token=TOKEN"},
        {"x-f2h-principal": CLAIMED},
        {"x-f2h-listener": "public", "x-f2h-token": "TOKEN"},
        {"x-envoy-metadata": '{"envoy.filters.http.jwt_authn":{"token":{"iss":"f2hcloud"}}}'},
        {"x-envoy-auth-failure-mode-allowed": "true"},
        {"iss": "f2hcloud", "token": "TOKEN"},
        {"proxy-authorization": "Bearer TOKEN"},
        {"authorization": "Bearer "},
        {"authorization": "bearer TOKEN"},
        {"authorization": "TOKEN"},
        {"authorization": "Token TOKEN"},
    ],
    ids=lambda headers: " ".join(map(": ".join, headers.items())) or "nothing",
)
def test_without_a_token_in_its_place_auth_is_asked(edge: Edge, headers: dict[str, str]) -> None:
    sent = {name: value.replace("TOKEN", token()) for name, value in headers.items()}
    refused = edge.public.rest("GET", SERVERS, key=None, headers=sent)
    assert (refused.status, refused.reason) == (401, "CREDENTIAL_MISSING")
    passed = edge.public.rest("GET", SERVERS, headers=sent)
    assert passed.status == 200
    assert len(edge.auth.seen) == 2
    [call] = edge.services["server_ops"].seen
    assert call.metadata["x-f2h-principal"] == PRINCIPAL


def twice(edge: Edge, first: str, second: str) -> HTTPResponse:
    """A call with a good key and two Authorization headers."""
    connection = edge.public.connection()
    try:
        connection.putrequest("GET", SERVERS)
        connection.putheader("X-API-Key", GOOD_KEY)
        connection.putheader("Authorization", first)
        connection.putheader("Authorization", second)
        connection.endheaders()
        answer = connection.getresponse()
        answer.read()
    finally:
        connection.close()
    return answer


def test_of_two_tokens_none_passes(edge: Edge) -> None:
    """Which one was meant? Not even two right ones, and a right key does not help."""
    right, wrong = f"Bearer {token()}", f"Bearer {token(Ed25519PrivateKey.generate())}"
    for both in ((right, wrong), (wrong, right), (right, right), (right, "Basic eDp5")):
        assert twice(edge, *both).status == 401
    assert edge.reached() == []
    assert edge.auth.seen == []


def test_beside_another_scheme_a_token_is_verified_all_the_same(edge: Edge) -> None:
    wrong = token(Ed25519PrivateKey.generate())
    assert twice(edge, "Basic eDp5", f"Bearer {wrong}").status == 401
    assert edge.reached() == []
    assert twice(edge, "Basic eDp5", f"Bearer {token()}").status == 200
    [call] = edge.services["server_ops"].seen
    assert call.metadata["x-f2h-principal"] == CLAIMED
    assert edge.auth.seen == []


def test_a_token_in_the_query_is_no_token(edge: Edge) -> None:
    for name in ("access_token", "token", "authorization"):
        answer = edge.public.rest("GET", f"{SERVERS}?{name}={token()}", key=None)
        assert answer.status in {400, 401}
    assert edge.reached() == []


def test_the_internal_listener_takes_no_token(edge: Edge) -> None:
    answer = edge.internal.rest("GET", "/api/keys", key=None, headers=bearer(token()))
    assert (answer.status, answer.reason) == (401, "CREDENTIAL_MISSING")
    assert len(edge.auth.seen) == 1
    assert edge.reached() == []


def test_a_token_opens_only_what_passes_the_listener(edge: Edge) -> None:
    for path in ("/api/noc/servers", "/internal/audit/attempts"):
        answer = edge.public.rest("GET", path, key=None, headers=bearer(token()))
        assert (answer.status, answer.reason) == (404, "NOT_FOUND")
    assert edge.reached() == []


def test_claims_make_no_headers_but_the_principal(edge: Edge) -> None:
    text = token(**{"x-f2h-listener": "internal", "x-f2h-client": "192.0.2.1"})
    assert edge.public.rest("GET", SERVERS, key=None, headers=bearer(text)).status == 200
    [call] = edge.services["server_ops"].seen
    assert call.metadata["x-f2h-listener"] == "public"
    assert call.metadata["x-f2h-client"] == "127.0.0.1"


def test_a_token_without_a_principal_brings_none(edge: Edge) -> None:
    text = token(principal=None)
    edge.public.rest("GET", SERVERS, key=None, headers={**bearer(text), "x-f2h-principal": "x"})
    [call] = edge.services["server_ops"].seen
    assert "x-f2h-principal" not in call.metadata


def test_the_token_is_in_no_log(edge: Edge) -> None:
    text = token()
    edge.public.rest("GET", SERVERS, key=None, headers=bearer(text))
    edge.public.rest("GET", SERVERS, key=None, headers=bearer(text[:-4] + "AAAA"))
    log = edge.log.read_text()
    assert text.rpartition(".")[2][:20] not in log
    assert json.dumps(CLAIMED) not in log


def test_a_token_that_passed_does_not_pass_when_it_has_expired(edge: Edge) -> None:
    text = token(exp=int(time.time()) + 1)
    assert takes(edge.public, text)
    eventually(lambda: not takes(edge.public, text), 6)
    answer = edge.public.rest("GET", SERVERS, key=None, headers=bearer(text))
    assert (answer.status, answer.reason) == (401, "CREDENTIAL_INVALID")


SOON = '"cache_duration": "30s"', '"cache_duration": "1s"'


@pytest.fixture
def auth(edge: Edge) -> Iterator[Auth]:
    """An auth of this test's own, not started: its keys change."""
    made = Auth(edge.auth.tls)
    yield made
    made.stop()


def test_keys_are_replaced_without_a_restart(edge: Edge, tmp_path: Path, auth: Auth) -> None:
    auth.start()
    new = Ed25519PrivateKey.generate()
    with variant(edge, tmp_path, SOON, auth=auth) as other:
        used = token()
        eventually(lambda: takes(other.public, used))
        auth.service.token_keys = token_keys(k1=TOKEN_KEY, k2=new)
        eventually(lambda: takes(other.public, token(new, kid="2")))
        assert takes(other.public, used)
        auth.service.token_keys = token_keys(k2=new)
        eventually(lambda: not takes(other.public, token()))
        assert not takes(other.public, used), "although it passed before"
        assert takes(other.public, token(new, kid="2"))


def test_before_its_keys_are_known_a_token_is_not_called_wrong(
    edge: Edge, tmp_path: Path, auth: Auth
) -> None:
    with variant(edge, tmp_path, SOON, auth=auth) as other:
        rest = other.public.rest("GET", SERVERS, key=None, headers=bearer(token()))
        native = other.public.grpc(LIST, key=None, metadata=bearer(token()))
        assert (rest.status, rest.reason) == (503, "DEPENDENCY_UNAVAILABLE")
        assert native.reason == "DEPENDENCY_UNAVAILABLE"
        assert edge.reached() == []
        auth.start()
        eventually(lambda: takes(other.public, token()))


def test_a_token_lasts_while_auth_is_away(edge: Edge, tmp_path: Path, auth: Auth) -> None:
    auth.start()
    with variant(edge, tmp_path, SOON, auth=auth) as other:
        eventually(lambda: takes(other.public, token()))
        # Keys that a call waited for hold for 1 s here; those that came by themselves do not end.
        fetched = auth.service.fetches
        eventually(lambda: auth.service.fetches > fetched + 1)
        auth.stop()
        failed = other.failed_fetches()
        eventually(lambda: other.failed_fetches() > failed + 1)
        assert takes(other.public, token())
        answer = other.public.rest("GET", SERVERS)
        assert (answer.status, answer.reason) == (503, "DEPENDENCY_UNAVAILABLE")
