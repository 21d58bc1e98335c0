"""Every error, whoever makes it, is a google.rpc.Status with an ErrorInfo, as REST and as gRPC."""

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest
from f2h.auth.v1 import key_pb2
from f2h.server_ops.v1 import reboot_pb2, server_pb2
from google.protobuf import duration_pb2, json_format
from google.rpc import error_details_pb2, status_pb2

from tests.edge.conftest import Edge, variant
from tests.edge.stand_ins import (
    GOOD_KEY,
    Answer,
    Call,
    Client,
    denied,
    eventually,
    failing,
    hanging,
    raw,
    status,
)

REBOOT = "/f2h.server_ops.v1.RebootService/RebootServer"
REST_REBOOT = "/api/servers/ns1.ip-192-0-2.eu/reboot"
JSON = {"content-type": "application/json"}

BUSY = status(
    10,
    "ns1 is busy: 100 % é",
    "SERVER_BUSY",
    error_details_pb2.RetryInfo(retry_delay=duration_pb2.Duration(seconds=7)),
    server="ns1",
    operation="operations/1",
)
INVALID = status(
    3,
    "hostname: must be a hostname",
    "INVALID_REQUEST",
    error_details_pb2.BadRequest(
        field_violations=[{"field": "hostname", "description": "must be a hostname"}]
    ),
)
MISSING = status(7, 'The key lacks "server.reboot".', "CAPABILITY_MISSING", capability="x")
DOWN = status(14, "The database does not answer.", "DEPENDENCY_UNAVAILABLE")


def rest_reboot(client: Client) -> Answer:
    return client.rest("POST", REST_REBOOT)


def grpc_reboot(client: Client) -> Answer:
    return client.grpc(REBOOT)


both = pytest.mark.parametrize("reboot", [rest_reboot, grpc_reboot])
Reboot = Callable[[Client], Answer]


@contextmanager
def stopped(edge: Edge, name: str) -> Iterator[None]:
    server = edge.auth if name == "auth" else edge.services[name]
    server.stop()
    try:
        yield
    finally:
        server.start()
        eventually(lambda: edge.public.rest("POST", REST_REBOOT).status == 200)
        eventually(edge.ready)


@pytest.mark.parametrize(
    ("told", "http"), [(BUSY, 409), (INVALID, 400), (MISSING, 403), (DOWN, 503)]
)
@both
def test_a_service_is_quoted_with_every_detail(
    edge: Edge, told: status_pb2.Status, http: int, reboot: Reboot
) -> None:
    edge.services["server_ops"].answer = failing(told)
    same(reboot(edge.public), told, http)


@pytest.mark.parametrize(
    ("told", "http"), [(BUSY, 409), (INVALID, 400), (MISSING, 403), (DOWN, 503)]
)
@both
def test_auth_is_quoted_with_every_detail(
    edge: Edge, told: status_pb2.Status, http: int, reboot: Reboot
) -> None:
    edge.auth.answer = lambda _: denied(told)
    same(reboot(edge.public), told, http)
    assert not edge.reached()


def same(answer: Answer, told: status_pb2.Status, http: int) -> None:
    heard = json_format.ParseDict(answer.error or {}, status_pb2.Status())
    # As dictionaries: the order of a map's entries may differ in the bytes of a detail.
    assert json_format.MessageToDict(heard) == json_format.MessageToDict(told)
    assert answer.status in (http, 0)


@pytest.mark.parametrize(
    ("code", "reason", "http"),
    [
        (grpc.StatusCode.UNKNOWN, "INTERNAL", 500),
        (grpc.StatusCode.INVALID_ARGUMENT, "INTERNAL", 500),
        (grpc.StatusCode.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED", 504),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED", 429),
        (grpc.StatusCode.UNIMPLEMENTED, "NOT_IMPLEMENTED", 501),
        (grpc.StatusCode.INTERNAL, "INTERNAL", 500),
        (grpc.StatusCode.UNAVAILABLE, "DEPENDENCY_UNAVAILABLE", 503),
    ],
)
@pytest.mark.parametrize("headers_first", [False, True])
@both
def test_an_error_of_a_grpc_library_gets_a_reason(
    edge: Edge,
    *,
    code: grpc.StatusCode,
    reason: str,
    http: int,
    headers_first: bool,
    reboot: Reboot,
) -> None:
    def answer(call: Call) -> bytes:
        if headers_first:
            call.context.send_initial_metadata(())
        call.context.abort(code, "text of a driver")
        raise AssertionError

    edge.services["server_ops"].answer = answer
    told = reboot(edge.public)
    assert (told.reason, told.status) in {(reason, http), (reason, 0)}
    assert "driver" not in str(told.error)


def test_an_exception_in_a_service_is_not_quoted(edge: Edge) -> None:
    def answer(call: Call) -> bytes:
        raise RuntimeError("text of a driver")

    edge.services["server_ops"].answer = answer
    for told in (rest_reboot(edge.public), grpc_reboot(edge.public)):
        assert told.reason == "INTERNAL"
        assert "driver" not in str(told.error)


def test_a_method_that_no_proto_has(edge: Edge) -> None:
    """Past the edge by its service's prefix; auth refuses it, and if not, the service does."""
    edge.services["server_ops"].answer = lambda call: call.context.abort(
        grpc.StatusCode.UNIMPLEMENTED, "Method not found!"
    )
    answer = edge.public.grpc("/f2h.server_ops.v1.RebootService/Nothing")
    assert answer.reason == "NOT_IMPLEMENTED"


@both
def test_auth_that_is_down_lets_nothing_pass(edge: Edge, reboot: Reboot) -> None:
    with stopped(edge, "auth"):
        answer = reboot(edge.public)
        assert (answer.reason, answer.status) in {
            ("DEPENDENCY_UNAVAILABLE", 503),
            ("DEPENDENCY_UNAVAILABLE", 0),
        }
        assert answer.error is not None
        assert answer.error["code"] == grpc.StatusCode.UNAVAILABLE.value[0]
        assert not edge.reached()


@both
def test_auth_that_fails_or_hangs_lets_nothing_pass(edge: Edge, reboot: Reboot) -> None:
    def crash(request: object) -> None:
        raise RuntimeError

    def hang(request: object) -> object:
        # longer than the edge waits, and shorter than the test
        import threading

        threading.Event().wait(1.5)
        return denied(MISSING)

    for answer_of_auth in (crash, hang):
        edge.auth.answer = answer_of_auth  # type: ignore[assignment]
        assert reboot(edge.public).reason == "DEPENDENCY_UNAVAILABLE"
    assert not edge.reached()


@both
def test_auth_that_refuses_without_a_reason_is_our_fault(edge: Edge, reboot: Reboot) -> None:
    from f2h.edge.v1 import authorization_pb2

    edge.auth.answer = lambda _: authorization_pb2.CheckResponse(status=status_pb2.Status(code=7))
    answer = reboot(edge.public)
    assert answer.reason == "INTERNAL"
    assert answer.status in (500, 0)


@both
def test_a_service_that_is_down(edge: Edge, reboot: Reboot) -> None:
    with stopped(edge, "server_ops"):
        answer = reboot(edge.public)
        assert answer.reason == "DEPENDENCY_UNAVAILABLE"
        assert answer.status in (503, 0)
        assert edge.public.rest("GET", "/api/servers/a.b/antihack").status == 200


@pytest.mark.parametrize("_", range(5))
def test_a_service_that_is_too_slow(edge: Edge, _: int) -> None:
    ended = []

    def slow(call: Call) -> bytes:
        hanging(call)
        ended.append(call.context.time_remaining())
        return b""

    edge.services["server_ops"].answer = slow
    rest = edge.public.rest("POST", REST_REBOOT, headers={"grpc-timeout": "200m"})
    assert (rest.status, rest.reason) == (504, "DEADLINE_EXCEEDED")
    native = edge.public.grpc(REBOOT, metadata={"grpc-timeout": "200m"}, timeout=None)
    assert native.reason == "DEADLINE_EXCEEDED"
    assert native.error is not None
    assert native.error["code"] == grpc.StatusCode.DEADLINE_EXCEEDED.value[0]
    # The service was cancelled, long before it would have run out of time.
    eventually(lambda: len(ended) == 2)


def test_more_calls_than_a_service_may_have(edge: Edge, tmp_path: Path) -> None:
    with variant(edge, tmp_path, ('"max_requests": 1024', '"max_requests": 1')) as other:
        client = other.public
        edge.services["server_ops"].answer = hanging
        held = raw(client.channel, REBOOT).future(
            b"", metadata=(("x-api-key", GOOD_KEY),), timeout=20, wait_for_ready=True
        )
        eventually(lambda: bool(edge.reached()))
        rest, native = rest_reboot(client), grpc_reboot(client)
        held.cancel()
    assert (rest.status, rest.reason) == (429, "OVERLOADED")
    assert native.reason == "OVERLOADED"


def test_an_edge_without_memory_refuses_calls(edge: Edge, tmp_path: Path) -> None:
    heap = '"max_heap_size_bytes": 1073741824'
    with variant(edge, tmp_path, (heap, '"max_heap_size_bytes": 1')) as other:
        client = other.public
        eventually(lambda: rest_reboot(client).status == 429)
        assert rest_reboot(client).reason == "OVERLOADED"
        assert grpc_reboot(client).reason == "OVERLOADED"


@pytest.mark.parametrize(
    ("verb", "path"),
    [
        ("GET", "/"),
        ("GET", "/api"),
        ("GET", "/api/nothing"),
        ("GET", "/api/servers/a/b/c"),
        ("GET", "/healthz/"),
        ("GET", "/ready"),
    ],
)
def test_a_path_that_does_not_exist(edge: Edge, verb: str, path: str) -> None:
    answer = edge.public.rest(verb, path)
    assert (answer.status, answer.reason) == (404, "NOT_FOUND")


@pytest.mark.parametrize("path", ["/nothing.v1.Nothing/Get", "/grpc.health.v1.Health/Check"])
def test_a_grpc_service_that_does_not_exist(edge: Edge, path: str) -> None:
    answer = edge.public.grpc(path)
    assert answer.reason == "NOT_FOUND"
    assert answer.error is not None
    assert answer.error["code"] == grpc.StatusCode.NOT_FOUND.value[0]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (REST_REBOOT + "?nope=1", b""),
        (REST_REBOOT, b'{"hostname": "other.example"}'),
        (REST_REBOOT, b"{bad"),
        (REST_REBOOT, b"[]"),
        (REST_REBOOT, b'"text"'),
        (REST_REBOOT, b'{"mode": "NO_SUCH_MODE"}'),
        (REST_REBOOT, b'{"mode": "\xff"}'),
        (REST_REBOOT, b'{"mode": {"a": "\x01\\"}}'),
        ("/api/servers/a%2Fb/reboot", b""),
        ("/api/servers/a%5Cb/reboot", b""),
    ],
)
def test_a_malformed_request(edge: Edge, path: str, body: bytes) -> None:
    answer = edge.public.rest("POST", path, body=body, headers=JSON)
    assert (answer.status, answer.reason) == (400, "INVALID_REQUEST")
    assert not edge.reached()


@pytest.mark.parametrize(
    "query",
    [
        "hostname=b",
        "%68ostname=b",
        "page_size=1&hostnam%65=b",
        "hostname=b&hostname=c",
        "Hostname=b",
    ],
)
def test_the_query_does_not_rename_what_the_path_names(edge: Edge, query: str) -> None:
    answer = edge.public.rest("POST", f"{REST_REBOOT}?{query}")
    if answer.status == 200:
        (seen,) = edge.services["server_ops"].seen
        request = reboot_pb2.RebootServerRequest.FromString(seen.request)
        assert request.hostname == "ns1.ip-192-0-2.eu"
    else:
        assert (answer.status, answer.reason) == (400, "INVALID_REQUEST")
        assert not edge.reached()


def test_the_value_of_a_query_parameter_may_be_encoded(edge: Edge) -> None:
    answer = edge.public.rest("GET", "/api/servers?page_size=10&page_token=a%20b%3D%26c")
    assert answer.status == 200
    (seen,) = edge.services["server_ops"].seen
    assert server_pb2.ListServersRequest.FromString(seen.request).page_token == "a b=&c"


@pytest.mark.parametrize("value", ["", "1", "bogus", "-1S", "123456789S", "1S, 2S"])
def test_a_malformed_timeout(edge: Edge, value: str) -> None:
    answer = edge.public.rest("POST", REST_REBOOT, headers={"grpc-timeout": value})
    assert (answer.status, answer.reason) == (400, "INVALID_REQUEST")
    assert not edge.reached()


def test_a_header_with_an_underscore(edge: Edge) -> None:
    answer = edge.public.rest("POST", REST_REBOOT, headers={"x_f2h_principal": "me"})
    assert (answer.status, answer.reason) == (400, "INVALID_REQUEST")


@pytest.mark.parametrize(
    "body",
    [
        b'{"request_id": "' + b"x" * 70_000 + b'"}',
        b'{"request_id": "' + b"x" * 2_000_000 + b'"}',
        b"{" + b" " * 70_000 + b"}",
    ],
)
def test_a_body_that_is_too_large(edge: Edge, body: bytes) -> None:
    answer = edge.public.rest("POST", REST_REBOOT, body=body, headers=JSON)
    assert (answer.status, answer.reason) == (413, "REQUEST_TOO_LARGE")
    native = edge.public.grpc(REBOOT, body)
    assert native.reason == "REQUEST_TOO_LARGE"
    assert not edge.reached()


def test_a_body_that_is_just_not_too_large(edge: Edge) -> None:
    body = b'{"request_id": "' + b"x" * 65_000 + b'"}'
    assert edge.public.rest("POST", REST_REBOOT, body=body, headers=JSON).status == 200
    assert edge.public.grpc(REBOOT, b"\x1a\xf0\xf9\x03" + b"x" * 64_752).error is None


def test_headers_that_are_too_large(edge: Edge) -> None:
    answer = edge.public.rest("POST", REST_REBOOT, headers={"x-large": "x" * 10_000})
    assert (answer.status, answer.reason) == (431, "REQUEST_TOO_LARGE")


def test_bytes_that_are_not_http(edge: Edge) -> None:
    with socket.create_connection(("127.0.0.1", edge.public.port), timeout=5) as connection:
        connection.sendall(b"EHLO example.org\r\n\r\n")
        head, _, body = connection.recv(65536).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400")
    if body:
        assert json.loads(body)["details"][0]["reason"] == "INVALID_REQUEST"


def test_a_large_answer_arrives_whole(edge: Edge) -> None:
    keys = key_pb2.ListKeysResponse(
        keys=[key_pb2.ApiKey(id=f"{n:016x}", servers=["s" * 100] * 10) for n in range(1000)]
    )
    edge.services["auth"].answer = lambda _: keys.SerializeToString()
    answer = edge.public.rest("GET", "/api/keys")
    assert answer.status == 200
    assert len(json.loads(answer.body)["keys"]) == 1000


def test_an_answer_that_is_too_large_is_an_error(edge: Edge) -> None:
    keys = key_pb2.ListKeysResponse(keys=[key_pb2.ApiKey(label="x" * 1_000_000)] * 5)
    edge.services["auth"].answer = lambda _: keys.SerializeToString()
    answer = edge.public.rest("GET", "/api/keys")
    assert (answer.status, answer.reason) == (500, "INTERNAL")


def test_many_calls_at_once(edge: Edge) -> None:
    channel = edge.public.channel
    calls = [
        raw(channel, REBOOT).future(b"", metadata=(("x-api-key", GOOD_KEY),), timeout=20)
        for _ in range(300)
    ]
    assert [call.result() for call in calls] == [b""] * 300


def test_health_is_json_and_needs_no_key(edge: Edge) -> None:
    answer = edge.public.rest("GET", "/healthz", key=None)
    assert answer.status == 200
    assert json.loads(answer.body) == {"status": "SERVING"}
    assert answer.headers["content-type"] == "application/json"
    assert not edge.auth.seen


def test_health_says_when_auth_is_gone(edge: Edge) -> None:
    with stopped(edge, "auth"):
        eventually(lambda: not edge.ready())
        answer = edge.public.rest("GET", "/healthz", key=None)
        assert (answer.status, answer.reason) == (503, "DEPENDENCY_UNAVAILABLE")
