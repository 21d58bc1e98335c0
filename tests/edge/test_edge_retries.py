"""A process that dies under a call: who asked only to read does not notice."""

from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest
from f2h.edge.v1 import authorization_pb2

from tests.edge.conftest import Edge, variant
from tests.edge.cut import Way
from tests.edge.stand_ins import Call, Client, Service, by_key, eventually

REBOOT = "/api/servers/ns1.example.net/reboot"


@pytest.fixture
def server_ops(edge: Edge) -> Service:
    return edge.services["server_ops"]


@pytest.fixture
def way(edge: Edge, server_ops: Service) -> Iterator[Way]:
    """The way to server_ops."""
    with Way(server_ops.address) as way:

        def answer(_call: Call) -> bytes:
            way.called()
            return b""

        server_ops.answer = answer
        yield way


@pytest.fixture
def client(edge: Edge, way: Way, server_ops: Service, tmp_path: Path) -> Iterator[Client]:
    """Calls an edge that reaches server_ops by this way."""
    with variant(edge, tmp_path, by(way, server_ops.address)) as changed:
        eventually(lambda: works(changed.public))
        server_ops.seen.clear()
        yield changed.public


def by(way: Way, address: tuple[str, int]) -> tuple[str, str]:
    """The change in the edge's configuration that makes it go this way."""
    return f'"port_value": {address[1]}}}', f'"port_value": {way.port}}}'


def works(client: Client) -> bool:
    return client.rest("GET", "/api/servers").status == 200


def test_what_is_read_is_read_again(client: Client, way: Way, server_ops: Service) -> None:
    way.cut_at_next_call()
    assert client.rest("GET", "/api/servers").status == 200
    paths = [call.path for call in server_ops.seen]
    assert paths == ["/f2h.server_ops.v1.ServerService/ListServers"] * 2


@pytest.mark.parametrize(
    "headers", [{}, {"x-envoy-retry-on": "reset"}, {"x-envoy-original-method": "GET"}]
)
def test_what_changes_something_is_sent_once(
    client: Client, way: Way, server_ops: Service, headers: dict[str, str]
) -> None:
    way.cut_at_next_call()
    answer = client.rest("POST", REBOOT, headers=headers)
    assert answer.status == 503
    assert answer.reason == "DEPENDENCY_UNAVAILABLE"
    assert len(server_ops.seen) == 1


def test_a_call_is_checked_again_when_auth_dies(edge: Edge, tmp_path: Path) -> None:
    auth, server_ops = edge.auth, edge.services["server_ops"]
    with (
        Way(auth.address) as way,
        variant(edge, tmp_path, by(way, auth.address)) as changed,
    ):

        def answer(request: authorization_pb2.CheckRequest) -> authorization_pb2.CheckResponse:
            way.called()
            return by_key(request)

        auth.answer = answer
        eventually(lambda: works(changed.public))
        auth.seen.clear()
        server_ops.seen.clear()
        way.cut_at_next_call()
        assert changed.public.rest("POST", REBOOT).status == 200
        assert len(auth.seen) == 2
        assert len(server_ops.seen) == 1


def test_an_auth_that_takes_its_time_is_waited_for_and_asked_once(edge: Edge) -> None:
    def slow(request: authorization_pb2.CheckRequest) -> authorization_pb2.CheckResponse:
        Event().wait(0.6)  # a long moment, and less than the second that the edge waits
        return by_key(request)

    edge.auth.answer = slow
    assert edge.public.rest("POST", REBOOT).status == 200
    assert len(edge.auth.seen) == 1
