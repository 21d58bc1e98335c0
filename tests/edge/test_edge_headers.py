"""What a caller cannot say of itself, and what the services are told instead."""

import json
from typing import Any

import pytest
from f2h.edge.v1 import authorization_pb2

from tests.edge.conftest import Edge
from tests.edge.stand_ins import GOOD_KEY, PRINCIPAL, Call, eventually, granted
from tests.edge.tokens import bearer, token

REBOOT = "/f2h.server_ops.v1.RebootService/RebootServer"
REST_REBOOT = "/api/servers/ns1.ip-192-0-2.eu/reboot"


def forgetful(_: object) -> authorization_pb2.CheckResponse:
    """An auth that does not take the credentials off."""
    response = granted()
    del response.ok_response.headers_to_remove[:]
    return response


SECRETS = {"cookie": "session=SECRET", "authorization": "Basic SECRET"}


def call(edge: Edge, form: str, headers: dict[str, str]) -> Call:
    """Calls with `headers` and returns what the service saw."""
    if form == "grpc":
        answer = edge.public.grpc(REBOOT, metadata=headers, timeout=None)
    else:
        answer = edge.public.rest("POST", REST_REBOOT, headers=headers)
    assert answer.error is None
    (seen,) = edge.services["server_ops"].seen
    return seen


each_form = pytest.mark.parametrize("form", ["rest", "grpc"])


@each_form
def test_a_forged_principal_is_removed_before_auth(edge: Edge, form: str) -> None:
    seen = call(edge, form, {"x-f2h-principal": "forged", "x-f2h-anything": "forged"})
    assert seen.metadata["x-f2h-principal"] == PRINCIPAL
    assert "x-f2h-anything" not in seen.metadata
    assert set(edge.auth.seen[0].request.http.headers) <= {
        "x-api-key",
        "authorization",
        "x-request-id",
        "x-f2h-client",
    }


@each_form
def test_a_forged_address_is_not_believed(edge: Edge, form: str) -> None:
    forged = {
        "x-forwarded-for": "203.0.113.4",
        "x-envoy-external-address": "203.0.113.4",
        "x-forwarded-host": "evil.example",
        "x-envoy-original-path": "/forged",
        "x-envoy-max-retries": "100",
    }
    seen = call(edge, form, forged)
    assert edge.auth.seen[0].request.http.headers["x-f2h-client"] == "127.0.0.1"
    assert not {"203.0.113.4", "evil.example", "/forged", "100"} & set(seen.metadata.values())
    assert "203.0.113.4" not in str(seen.metadata["x-forwarded-for"])


@each_form
def test_auth_sees_of_the_headers_what_it_needs_and_no_more(edge: Edge, form: str) -> None:
    sent = {**SECRETS, "origin": "https://example.net", "user-agent": "me", "x-other": "other"}
    seen = call(edge, form, sent)
    shown = edge.auth.seen[0].request.http.headers
    assert dict(shown) == {
        "x-api-key": GOOD_KEY,
        "cookie": "session=SECRET",
        "origin": "https://example.net",
        # The same for auth and the service, so that their records fit together.
        "x-request-id": seen.metadata["x-request-id"],
        "x-f2h-client": "127.0.0.1",
    }


@each_form
@pytest.mark.parametrize(
    ("listener", "path", "service"),
    [
        ("public", "/api/servers", "server_ops"),
        ("public", "/api/keys", "auth"),
        ("internal", "/api/keys", "auth"),
        ("internal", "/api/noc/servers", "server_ops"),
    ],
)
def test_a_service_is_told_the_listener_and_the_client(
    edge: Edge, form: str, listener: str, path: str, service: str
) -> None:
    forged = {"x-f2h-listener": "internal" if listener == "public" else "public"}
    forged["x-f2h-client"] = "192.0.2.1"
    methods = {
        "/api/servers": "/f2h.server_ops.v1.ServerService/ListServers",
        "/api/keys": "/f2h.auth.v1.KeyService/ListKeys",
        "/api/noc/servers": "/f2h.server_ops.v1.InventoryService/ListInventory",
    }
    if form == "grpc":
        answer = edge.client(listener).grpc(methods[path], metadata=forged)
    else:
        answer = edge.client(listener).rest("GET", path, headers=forged)
    assert answer.error is None
    [seen] = edge.services[service].seen
    assert seen.metadata["x-f2h-listener"] == listener
    assert seen.metadata["x-f2h-client"] == "127.0.0.1"


@pytest.mark.parametrize("listener", ["public", "internal"])
def test_a_cookie_that_a_service_sets_reaches_the_browser(edge: Edge, listener: str) -> None:
    cookies = "session=abc; HttpOnly; Path=/api", "seen=1; Path=/"

    def answer(call: Call) -> bytes:
        call.context.send_initial_metadata(tuple(("set-cookie", each) for each in cookies))
        return b""

    edge.services["auth"].answer = answer
    connection = edge.client(listener).connection()
    try:
        connection.request("GET", "/api/keys", headers={"X-API-Key": GOOD_KEY})
        response = connection.getresponse()
        assert response.status == 200
        assert tuple(response.headers.get_all("set-cookie", [])) == cookies
        json.loads(response.read())
    finally:
        connection.close()


@pytest.mark.parametrize("listener", ["public", "internal"])
def test_what_a_caller_shows_stays_at_the_edge(edge: Edge, listener: str) -> None:
    edge.auth.answer = forgetful
    client = edge.client(listener)
    assert client.rest("GET", "/api/keys", headers=SECRETS).error is None
    assert client.grpc("/f2h.auth.v1.KeyService/ListKeys", metadata=SECRETS).error is None
    for seen in edge.services["auth"].seen:
        assert not {"x-api-key", *SECRETS} & seen.metadata.keys()
        assert "SECRET" not in str(seen.metadata)
    assert len(edge.services["auth"].seen) == 2


@each_form
def test_a_call_without_a_deadline_gets_one(edge: Edge, form: str) -> None:
    left = call(edge, form, {}).seconds_left
    assert left is not None
    assert 10 < left <= 15


@each_form
@pytest.mark.parametrize("timeout", ["5S", "10H"])
def test_a_service_is_told_the_longest_deadline(edge: Edge, form: str, timeout: str) -> None:
    """A shorter one is kept by the edge, see test_a_service_that_is_too_slow."""
    left = call(edge, form, {"grpc-timeout": timeout}).seconds_left
    assert left is not None
    assert 10 < left <= 15


@pytest.mark.parametrize(
    "name", ["x!a", "!", "#", "$a", "a%", "&", "x'y", "*", "+", "^", "`", "|", "~", "x-some-bin"]
)
def test_a_header_that_grpc_has_no_form_for_stays_at_the_edge(edge: Edge, name: str) -> None:
    """A service's gRPC library would end the call; RFC 9110, 5.6.2 allows the name."""
    assert name not in call(edge, "rest", {name: "!"}).metadata


def test_the_idempotency_key_reaches_the_service(edge: Edge) -> None:
    assert call(edge, "rest", {"Idempotency-Key": "k1"}).metadata["idempotency-key"] == "k1"


def test_the_host_has_no_part_in_it(edge: Edge) -> None:
    assert call(edge, "rest", {"host": "evil.example"}).path == REBOOT


def test_answers_do_not_name_the_software(edge: Edge) -> None:
    answer = edge.public.rest("POST", REST_REBOOT)
    assert "server" not in answer.headers
    assert not [name for name in answer.headers if name.startswith("x-envoy")]


def test_the_access_log_is_json_without_secrets(edge: Edge) -> None:
    edge.public.rest("POST", REST_REBOOT + "?request_id=SECRET-IN-QUERY")
    edge.public.rest("POST", REST_REBOOT, headers={"authorization": "SECRET-IN-HEADER"})
    edge.public.rest("GET", "/api/the-last-one?x=SECRET-IN-QUERY")
    eventually(lambda: "/api/the-last-one" in edge.log.read_text())
    text = edge.log.read_text()
    assert GOOD_KEY not in text
    assert "SECRET" not in text
    assert PRINCIPAL not in text
    lines = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    assert [line for line in lines if line["path"] == REST_REBOOT and line["status"] == 200]


def test_the_access_log_says_who_did_what(edge: Edge) -> None:
    """By the ids that auth gave, or that a token holds; what a caller claims of itself is no id."""
    edge.public.rest("GET", "/api/servers", key=f"{GOOD_KEY}/key-of-a-log")
    edge.public.rest("GET", "/api/servers", key=None, headers=bearer(token(sub="token-of-a-log")))
    edge.public.rest("GET", "/api/servers", key="wrong")
    googles = "/google.longrunning.Operations/GetOperation"
    edge.public.grpc(googles, key=None, metadata=bearer(token(sub="token-of-googles")))
    operations = {"/f2h.server_ops.v1.ServerService/ListServers", googles}

    def said() -> set[tuple[Any, ...]]:
        lines = [json.loads(line) for line in edge.log.read_text().splitlines() if line[:1] == "{"]
        return {
            (line["principal"], line["token_of"], line["capability"])
            for line in lines
            # Those of machines that boot have no such fields.
            if line.get("operation") in operations
        }

    who = {
        ("key-of-a-log", None, "server.details"),
        (None, "token-of-a-log", "server.details"),
        (None, "token-of-googles", "server.details"),
        (None, None, None),
    }
    eventually(lambda: who <= said())
    assert not [principal for principal, *_ in said() if principal == "wrong"]


ANSWERS = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
}


@pytest.mark.parametrize("listener", ["public", "internal"])
@pytest.mark.parametrize(
    ("verb", "path", "key"),
    [
        ("GET", "/api/keys", GOOD_KEY),
        ("GET", "/api/keys", "wrong"),
        ("GET", "/nothing", GOOD_KEY),
        ("PUT", "/api/keys", GOOD_KEY),
        ("GET", "/api/keys?%6eame=1", GOOD_KEY),
        ("GET", "/healthz", None),
    ],
)
def test_every_answer_is_for_its_caller_alone_and_no_page(
    edge: Edge, listener: str, verb: str, path: str, key: str | None
) -> None:
    answer = edge.client(listener).rest(verb, path, key=key)
    assert {name: answer.headers.get(name) for name in ANSWERS} == ANSWERS
