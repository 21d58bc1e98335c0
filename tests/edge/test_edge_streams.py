"""Streams pass the edge message by message, and last; what is no stream does not."""

import queue
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
from f2h.server_ops.v1 import console_pb2
from prometheus_client.parser import text_string_to_metric_families

from tests.edge.conftest import Edge, variant
from tests.edge.stand_ins import GOOD_KEY, TALK, Client, eventually

SHORT = '"max_stream_duration": "30s"', '"max_stream_duration": "1s"'
LONGER = 2.5
"""Seconds, and more than SHORT allows."""


def talk(client: Client) -> tuple["queue.SimpleQueue[bytes | None]", Any]:
    """What a stream is given (None: no more), and what it answers."""
    given: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
    call = client.channel.stream_stream(
        TALK, request_serializer=lambda each: each, response_deserializer=lambda each: each
    )
    metadata = (("x-api-key", GOOD_KEY),)
    return given, call(iter(given.get, None), metadata=metadata, timeout=20, wait_for_ready=True)


def test_a_message_is_answered_while_the_next_is_not_sent_yet(edge: Edge) -> None:
    given, answers = talk(edge.public)
    for message in (b"a", b"bb", b"ccc"):
        given.put(message)
        assert next(answers) == message
    given.put(None)
    assert list(answers) == []


def test_a_stream_outlasts_what_a_call_may_take(edge: Edge, tmp_path: Path) -> None:
    with variant(edge, tmp_path, SHORT) as other:
        given, answers = talk(other.public)
        begin = time.monotonic()
        while time.monotonic() - begin < LONGER:
            given.put(b"a")
            assert next(answers) == b"a"
            time.sleep(0.1)
        given.put(None)


def test_so_does_a_stream_of_events_over_rest(edge: Edge, tmp_path: Path) -> None:
    def told() -> Iterator[bytes]:
        begin = time.monotonic()
        while time.monotonic() - begin < LONGER:
            yield b""
            time.sleep(0.1)

    edge.services["server_ops"].told = told
    with variant(edge, tmp_path, SHORT) as other:
        begin = time.monotonic()
        answer = other.public.rest("GET", "/api/servers/a.b/console")
        assert answer.status == 200
        assert time.monotonic() - begin > LONGER
        assert answer.body.count(b"data:") > 10


def test_a_stream_needs_a_key(edge: Edge) -> None:
    answer = edge.public.grpc(TALK, key=None)
    assert answer.reason == "CREDENTIAL_MISSING"


def test_a_client_that_sends_its_request_slowly_is_not_waited_for(
    edge: Edge, tmp_path: Path
) -> None:
    with (
        variant(edge, tmp_path, SHORT) as other,
        socket.create_connection(("127.0.0.1", other.public.port), timeout=10) as connection,
    ):
        connection.sendall(
            b"POST /api/servers/a.b/reboot HTTP/1.1\r\nHost: a\r\nX-API-Key: "
            + GOOD_KEY.encode()
            + b"\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n{"
        )
        answer = b""
        while b"\r\n\r\n" not in answer:
            received = connection.recv(65536)
            assert received, "closed without a word"
            answer += received
        assert answer.startswith(b"HTTP/1.1 504")
        assert b"DEADLINE_EXCEEDED" in answer or b"DEADLINE_EXCEEDED" in connection.recv(65536)
    assert not edge.reached()


def test_what_a_client_does_not_read_is_not_asked_of_the_service(edge: Edge) -> None:
    """Else a client that reads nothing fills the edge's memory, a connection after the other."""
    text = console_pb2.ReadConsoleResponse(text="x" * 4096).SerializeToString()
    edge.services["server_ops"].told = lambda: iter([text] * 20_000)
    before, _ = held_back(edge)
    held = [0.0]

    def paused() -> bool:
        times, kept = held_back(edge)
        held.append(kept)
        return times > before

    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", edge.public.port))
        connection.sendall(
            b"GET /api/servers/a.b/console HTTP/1.1\r\nHost: a\r\n"
            b"X-API-Key: " + GOOD_KEY.encode() + b"\r\n\r\n"
        )
        eventually(paused, 60)
    # The limit of a connection, and what was under way from the service: a quarter of what Envoy
    # would keep for each without one.
    assert max(held) < 262_144


def held_back(edge: Edge) -> tuple[float, float]:
    """How often the edge stopped to read from a service, and the bytes it keeps for clients."""
    samples = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(httpx.get(edge.metrics_url, timeout=20).text)
        for sample in family.samples
    }
    paused = "envoy_cluster_upstream_flow_control_paused_reading_total"
    kept = "envoy_http_downstream_cx_tx_bytes_buffered"
    return samples[paused, "server_ops"], samples[kept, "public"]
