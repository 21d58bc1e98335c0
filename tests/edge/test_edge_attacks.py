"""What a hostile client tries: to be slow, to be large, to be many, and to be read in two ways."""

import json
import socket
import time
from collections import deque
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import h2.settings
import hpack
import pytest
from hyperframe.frame import ContinuationFrame, HeadersFrame

from tests.edge.conftest import Edge, variant
from tests.edge.stand_ins import GOOD_KEY, Client, eventually, hanging

REBOOT = "/api/servers/ns1.ip-192-0-2.eu/reboot"
SERVERS = "/api/servers"


@contextmanager
def plain(client: Client) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", client.port), timeout=20) as connection:
        yield connection


def answered(connection: socket.socket) -> bytes:
    """Everything that is said until the other side ends it, or has said something and is quiet."""
    heard = b""
    try:
        while part := connection.recv(65536):
            heard += part
            connection.settimeout(0.5)
    except ConnectionError:
        pass  # being reset is an end
    except TimeoutError:
        assert heard, "nothing was said"
    return heard


def statuses(heard: bytes) -> list[int]:
    return [int(line.split()[1]) for line in heard.split(b"\r\n") if line.startswith((b"HTTP/1.",))]


def head(path: str = REBOOT, *lines: str, verb: str = "POST") -> bytes:
    return "\r\n".join(
        [f"{verb} {path} HTTP/1.1", "Host: a.example", f"X-API-Key: {GOOD_KEY}", *lines, "", ""]
    ).encode()


# Slow.


def test_a_connection_that_says_nothing_is_ended(edge: Edge, tmp_path: Path) -> None:
    with (
        variant(edge, tmp_path, ('"idle_timeout": "300s"', '"idle_timeout": "1s"')) as other,
        plain(other.public) as connection,
    ):
        assert answered(connection) == b""


def test_headers_that_trickle_are_not_waited_for(edge: Edge, tmp_path: Path) -> None:
    """Slowloris: each byte comes before the connection would be idle, the end of them never."""
    changed = ('"request_headers_timeout": "10s"', '"request_headers_timeout": "1s"')
    with variant(edge, tmp_path, changed) as other, plain(other.public) as connection:
        connection.sendall(b"GET /api/servers HTTP/1.1\r\nHost: a.example\r\n")
        assert statuses(_trickle(connection, b"x-slow: 1\r\n")) == [504]


def test_a_body_that_trickles_is_not_waited_for(edge: Edge, tmp_path: Path) -> None:
    changed = ('"max_stream_duration": "30s"', '"max_stream_duration": "1s"')
    with variant(edge, tmp_path, changed) as other, plain(other.public) as connection:
        connection.sendall(head(REBOOT, "Content-Length: 60000"))
        assert statuses(_trickle(connection, b" ")) == [504]
    assert not edge.reached()


def test_a_body_that_stops_is_not_waited_for(edge: Edge, tmp_path: Path) -> None:
    changed = ('"stream_idle_timeout": "60s"', '"stream_idle_timeout": "1s"')
    with variant(edge, tmp_path, changed) as other, plain(other.public) as connection:
        connection.sendall(head(REBOOT, "Content-Length: 100") + b"{")
        assert statuses(answered(connection)) == [504]
    assert not edge.reached()


def _trickle(connection: socket.socket, piece: bytes) -> bytes:
    """Sends the piece again and again until there is an answer, and returns that."""
    connection.settimeout(0.05)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            connection.sendall(piece)
            return connection.recv(65536)
        except TimeoutError:
            continue
    raise AssertionError("it went on for 20 s")


# Many.


def test_more_connections_than_may_be(edge: Edge, tmp_path: Path) -> None:
    limit = '"max_active_downstream_connections": 10000'
    changed = (limit, '"max_active_downstream_connections": 8')
    with variant(edge, tmp_path, changed) as other:
        held = [
            socket.create_connection(("127.0.0.1", other.public.port), timeout=20)
            for _ in range(30)
        ]
        served = 0
        for connection in held:
            with closing(connection):
                try:
                    connection.sendall(head(SERVERS, "Connection: close", verb="GET"))
                except ConnectionError:
                    continue
                served += statuses(answered(connection)) == [200]
        assert 0 < served <= 8
        eventually(lambda: other.public.rest("GET", SERVERS).status == 200)


@contextmanager
def http2(client: Client) -> Iterator[tuple[h2.connection.H2Connection, socket.socket]]:
    """A connection after the settings of both sides are known."""
    with plain(client) as connection:
        made = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        made.initiate_connection()
        connection.sendall(made.data_to_send())
        while not any(
            isinstance(each, h2.events.RemoteSettingsChanged)
            for each in made.receive_data(connection.recv(65536))
        ):
            pass
        connection.sendall(made.data_to_send())
        yield made, connection


def call(path: str = "/f2h.server_ops.v1.ServerService/ListServers") -> list[tuple[str, str]]:
    return [
        (":method", "POST"),
        (":scheme", "http"),
        (":authority", "a.example"),
        (":path", path),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
        ("x-api-key", GOOD_KEY),
    ]


def test_http2_is_bounded_in_streams_and_windows(edge: Edge) -> None:
    with http2(edge.public) as (made, _):
        codes = h2.settings.SettingCodes
        assert made.remote_settings[codes.MAX_CONCURRENT_STREAMS] == 100
        assert made.remote_settings[codes.INITIAL_WINDOW_SIZE] == 65536
        assert made.remote_settings[codes.ENABLE_CONNECT_PROTOCOL] == 0


def test_who_opens_more_streams_than_may_be_loses_the_connection(edge: Edge) -> None:
    edge.services["server_ops"].answer = hanging
    with http2(edge.public) as (made, connection):
        # What we were told of the limit is forgotten.
        made.remote_settings._settings[h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS] = deque(
            [10_000]
        )
        for stream in range(1, 2 * 150, 2):
            made.send_headers(stream, call())
            made.send_data(stream, b"\0\0\0\0\0", end_stream=True)
        connection.sendall(made.data_to_send())
        events = made_of(made, connection)
    assert isinstance(events[-1], h2.events.ConnectionTerminated)
    assert len(edge.reached()) <= 100
    assert edge.public.rest("GET", SERVERS, key=None).status == 401


def test_a_hundred_thousand_streams_that_are_reset_at_once(edge: Edge) -> None:
    """CVE-2023-44487: each stream costs its server more than its client."""
    sent = 0
    with http2(edge.public) as (made, connection):
        made.remote_settings._settings[h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS] = deque(
            [10_000]
        )
        try:
            for stream in range(1, 200_000, 2):
                made.send_headers(stream, call(), end_stream=True)
                made.reset_stream(stream)
                sent += 1
                if sent % 100 == 0:
                    connection.sendall(made.data_to_send())
        except (ConnectionError, TimeoutError):
            pass
        answered(connection)
    assert sent < 100_000, "the connection was ended before"
    assert len(edge.reached()) < 10_000
    assert edge.public.rest("GET", SERVERS).status == 200


# Large.


def test_more_headers_than_may_be(edge: Edge) -> None:
    many = [f"x-{number}: 1" for number in range(70)]
    with plain(edge.public) as connection:
        connection.sendall(head(REBOOT, *many, "Connection: close"))
        heard = answered(connection)
    assert statuses(heard) == [431]
    assert json.loads(heard.partition(b"\r\n\r\n")[2])["code"] == 8
    assert not edge.reached()


def test_headers_that_unfold_to_a_hundred_megabytes(edge: Edge) -> None:
    """HPACK: a header that is kept once and named again by a byte each."""
    with http2(edge.public) as (made, connection):
        encoder = hpack.Encoder()
        block = encoder.encode([*call(), *[("x-bomb", "x" * 3000)] * 30_000])
        assert len(block) < 40_000
        frame = HeadersFrame(1, flags=["END_STREAM"])
        frame.data = block[:16_000]
        parts = [block[at : at + 16_000] for at in range(16_000, len(block), 16_000)]
        rest = [ContinuationFrame(1) for _ in parts]
        for each, part in zip(rest, parts, strict=True):
            each.data = part
        (rest[-1] if rest else frame).flags.add("END_HEADERS")
        connection.sendall(b"".join(each.serialize() for each in (frame, *rest)))
        events = made_of(made, connection)
    assert refused(events)
    assert not edge.reached()
    assert edge.public.rest("GET", SERVERS).status == 200


def test_headers_that_do_not_end(edge: Edge) -> None:
    """CONTINUATION frames for ever (VU#421644)."""
    with http2(edge.public) as (_, connection):
        encoder = hpack.Encoder()
        frame = HeadersFrame(1)
        frame.data = encoder.encode(call())
        connection.sendall(frame.serialize())
        sent = 0
        try:
            for sent in range(10_000):
                more = ContinuationFrame(1)
                more.data = encoder.encode([(f"x-{sent}", "x" * 1000)])
                connection.sendall(more.serialize())
        except (ConnectionError, TimeoutError):
            pass
    assert sent < 9_999, "ten megabytes of headers were taken"
    assert edge.public.rest("GET", SERVERS).status == 200


def made_of(made: h2.connection.H2Connection, connection: socket.socket) -> list[object]:
    """What happens until the stream or the connection ends."""
    happened: list[object] = []
    over = (h2.events.StreamReset, h2.events.StreamEnded, h2.events.ConnectionTerminated)
    while not any(isinstance(each, over) for each in happened):
        try:
            heard = connection.recv(65536)
        except ConnectionError:
            heard = b""
        if not heard:
            happened.append(h2.events.ConnectionTerminated())
            break
        try:
            happened += made.receive_data(heard)
        except h2.exceptions.ProtocolError:
            # h2 knows nothing of the stream, which it did not open.
            happened.append(h2.events.StreamReset(stream_id=1))
    return happened


def refused(events: list[object]) -> bool:
    return not any(
        isinstance(each, h2.events.ResponseReceived)
        and (":status", "200") in [(str(k), str(v)) for k, v in each.headers or ()]
        for each in events
    )


# Read in two ways.

SMUGGLED = b"GET /api/keys HTTP/1.1\r\nHost: a.example\r\nX-API-Key: " + GOOD_KEY.encode()


@pytest.mark.parametrize(
    "lines",
    [
        ("Content-Length: 4", "Transfer-Encoding: chunked"),
        ("Transfer-Encoding: chunked", "Content-Length: 4"),
        ("Content-Length: 0", "Content-Length: 60"),
        ("Content-Length: 0, 60",),
        ("Content-Length: +0",),
        ("Content-Length: 0x0",),
        ("Content-Length : 0",),
        ("Transfer-Encoding: chunked, identity",),
        ("Transfer-Encoding: xchunked",),
        ("Transfer-Encoding: chunked", "Transfer-Encoding: identity"),
        ("Transfer-Encoding : chunked",),
        ("Transfer-Encoding:\x0bchunked",),
        ("X-Null: a\0b",),
    ],
)
def test_a_request_whose_end_is_not_clear_is_refused(edge: Edge, lines: tuple[str, ...]) -> None:
    """Request smuggling (RFC 9112, 11.2): what follows must not become a request of its own."""
    with plain(edge.public) as connection:
        connection.sendall(head(REBOOT, *lines) + b"0\r\n\r\n" + SMUGGLED + b"\r\n\r\n")
        heard = answered(connection)
    assert statuses(heard) in ([400], [501])
    assert json.loads(heard.partition(b"\r\n\r\n")[2])["code"] == 3
    assert not edge.reached()


@pytest.mark.parametrize("chunk", [b"5;\n\r\n0\r\n\r\n", b"-1\r\n", b"0x5\r\n{}\r\n", b"1\n{\r\n"])
def test_a_chunk_whose_size_is_not_clear_is_refused(edge: Edge, chunk: bytes) -> None:
    with plain(edge.public) as connection:
        connection.sendall(head(REBOOT, "Transfer-Encoding: chunked") + chunk)
        connection.sendall(SMUGGLED + b"\r\n\r\n")
        heard = answered(connection)
    assert 200 not in statuses(heard)
    assert "/f2h.auth.v1.KeyService/ListKeys" not in edge.reached()


@pytest.mark.parametrize(
    "name", ["transfer-encoding", "connection", "upgrade", "keep-alive", "proxy-connection"]
)
def test_headers_of_a_connection_have_no_place_in_http2(edge: Edge, name: str) -> None:
    with http2(edge.public) as (made, connection):
        made.config.validate_outbound_headers = False
        made.config.normalize_outbound_headers = False
        made.send_headers(1, [*call(), (name, "chunked")], end_stream=True)
        connection.sendall(made.data_to_send())
        events = made_of(made, connection)
    assert refused(events)
    assert not edge.reached()


@pytest.mark.parametrize(
    "path",
    [
        "/api/servers/../keys",
        "/api/servers/%2e%2e/keys",
        "/api/servers/%2E%2E/keys",
        "/nothing/../api/keys",
        "/api/./keys",
        "//api//keys",
        "/api/keys?x=/../../",
        "/api/servers/..%2fkeys",
        "/api/servers/..%5ckeys",
        "/api/servers\\..\\keys",
        "/api/keys/",
        "/api/keys;x=1",
        "/api/keys%00",
        "/API/KEYS",
        "/api/servers/a/../../keys",
    ],
)
def test_a_path_is_one_call_however_it_is_written(edge: Edge, path: str) -> None:
    """Either refused, or the call that auth was asked about is the one that is made."""
    with plain(edge.public) as connection:
        connection.sendall(head(path, "Connection: close", verb="GET"))
        heard = answered(connection)
    [status] = statuses(heard)
    asked = [attributes.request.http.path for attributes in edge.auth.seen]
    assert edge.reached() == (asked if status == 200 else [])
    assert status in {200, 400, 404, 307}
    assert set(edge.reached()) <= {"/f2h.auth.v1.KeyService/ListKeys"}


@pytest.mark.parametrize(
    "request_line",
    [
        "CONNECT a.example:443 HTTP/1.1",
        "GET http://evil.example/api/keys HTTP/1.1",
        "GET /api/keys HTTP/1.0",
        "GET /api/keys",
        "get /api/keys HTTP/1.1",
        "GET /api/keys HTTP/1.1 X",
        "PRI * HTTP/2.0",
        "OPTIONS * HTTP/1.1",
    ],
)
def test_another_kind_of_request_opens_nothing(edge: Edge, request_line: str) -> None:
    with plain(edge.public) as connection:
        lines = (request_line, "Host: a.example", f"X-API-Key: {GOOD_KEY}", "Connection: close")
        connection.sendall("\r\n".join([*lines, "", ""]).encode())
        heard = answered(connection)
    if "evil" in request_line:
        # RFC 9112, 3.2.2: an origin server takes it, and nothing is fetched from there.
        assert statuses(heard) == [200]
        assert edge.reached() == ["/f2h.auth.v1.KeyService/ListKeys"]
    else:
        assert 200 not in statuses(heard)
        assert not edge.reached()


@pytest.mark.parametrize("verb", ["GET", "TRACE", "PROPFIND", "connect", "NOT-A-METHOD-YET"])
def test_a_method_that_a_path_does_not_answer_in_http2(edge: Edge, verb: str) -> None:
    kept = [each for each in call(REBOOT) if each[0] not in {":method", "content-type"}]
    with http2(edge.public) as (made, connection):
        made.send_headers(1, [(":method", verb), *kept], end_stream=True)
        connection.sendall(made.data_to_send())
        events = made_of(made, connection)
    [answer] = [each for each in events if isinstance(each, h2.events.ResponseReceived)]
    headers = {str(name): str(value) for name, value in answer.headers or ()}
    assert (headers[":status"], headers["allow"]) == ("405", "POST")
    assert not edge.reached()


@pytest.mark.parametrize(
    ("protocol", "status"), [("websocket", 400), ("TLS/1.0", 400), ("h2c", 200)]
)
def test_a_connection_does_not_become_another_kind(edge: Edge, protocol: str, status: int) -> None:
    """`curl --http2` offers h2c, and goes on in HTTP/1.1."""
    lines = (
        "Connection: Upgrade, HTTP2-Settings",
        f"Upgrade: {protocol}",
        "HTTP2-Settings: AAMAAABkAAQAAP__",
    )
    with plain(edge.public) as connection:
        connection.sendall(head(SERVERS, *lines, verb="GET"))
        heard = answered(connection)
    assert statuses(heard) == [status]
