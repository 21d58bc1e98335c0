"""Tokens: verified by the edge alone, and the only thing for which auth is not asked."""

import json
import time
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.edge.conftest import Edge
from tests.edge.stand_ins import GOOD_KEY, PRINCIPAL, TOKEN_KEY, eventually

SERVERS = "/api/servers"
LIST = "/f2h.server_ops.v1.ServerService/ListServers"
CLAIMED = "signed-by-auth-in-the-token"


def token(key: Any = TOKEN_KEY, algorithm: str = "EdDSA", kid: str = "1", **changes: Any) -> str:
    now = int(time.time())
    claims = {
        "iss": "f2hcloud",
        "aud": "f2hcloud-api",
        "sub": "token-subject",
        "iat": now,
        "exp": now + 60,
        "principal": CLAIMED,
        **changes,
    }
    kept = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(kept, key, algorithm=algorithm, headers={"kid": kid})


def bearer(text: str) -> dict[str, str]:
    return {"authorization": f"Bearer {text}"}


@pytest.fixture(autouse=True)
def keys_are_fetched(edge: Edge) -> None:
    def passes() -> bool:
        answer = edge.public.rest("GET", SERVERS, key=None, headers=bearer(token(sub="fetched")))
        return answer.status == 200

    eventually(passes)
    edge.auth.reset()
    edge.services["server_ops"].reset()


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
        {"authorization": "Bearer "},
    ],
    ids=lambda headers: next(iter(headers), "nothing"),
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
    for call in edge.services["server_ops"].seen:
        assert "x-f2h-principal" not in call.metadata


def test_the_token_is_in_no_log(edge: Edge) -> None:
    text = token()
    edge.public.rest("GET", SERVERS, key=None, headers=bearer(text))
    edge.public.rest("GET", SERVERS, key=None, headers=bearer(text[:-4] + "AAAA"))
    log = edge.log.read_text()
    assert text.rpartition(".")[2][:20] not in log
    assert json.dumps(CLAIMED) not in log
