"""Promise 8: with a part away nothing passes that should not, and all is well when it is back."""

from collections.abc import Iterator

import grpc
import pytest
from f2h.server_ops.v1 import server_pb2, server_pb2_grpc

from tests.integration.conftest import System, eventually, reason, running
from tests.postgres import Postgres


@pytest.fixture(scope="module")
def system(own_system: System) -> System:
    """Its own."""
    return own_system


def _answers(system: System, server: str, key: object) -> bool:
    return system.rest("GET", f"/api/servers/{server}", key).status_code == 200  # type: ignore[arg-type]


def test_without_auth_nothing_passes_and_its_return_is_enough(system: System) -> None:
    server = system.server(system.bmc())
    key = system.key(server)
    assert _answers(system, server, key)
    system.stack.processes["auth"].kill()
    answer = system.rest("GET", f"/api/servers/{server}", key)
    assert (answer.status_code, reason(answer)) == (503, "DEPENDENCY_UNAVAILABLE")
    stub = server_pb2_grpc.ServerServiceStub(system.channel)
    with pytest.raises(grpc.RpcError) as caught:
        stub.GetServer(
            server_pb2.GetServerRequest(hostname=server), metadata=key.metadata, timeout=10
        )
    assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
    system.stack.start_service("auth")
    eventually(lambda: _answers(system, server, key))


def test_without_server_ops_its_calls_are_unavailable_and_others_are_not(system: System) -> None:
    server = system.server(system.bmc())
    key = system.key(server, capabilities=["server.details", "antihack.status"])
    system.stack.processes["server_ops"].kill()
    answer = system.rest("GET", f"/api/servers/{server}", key)
    assert (answer.status_code, reason(answer)) == (503, "DEPENDENCY_UNAVAILABLE")
    assert system.rest("GET", "/api/capabilities").status_code == 200
    assert system.noc("GET", "/api/noc/gateways").status_code == 200
    # Whose the server is, and its addresses, security asks as well.
    answer = system.rest("GET", f"/api/servers/{server}/antihack", key)
    assert (answer.status_code, reason(answer)) == (503, "DEPENDENCY_UNAVAILABLE")
    # A key is not made for servers whose owner nobody knows.
    body = {"account": "acme", "servers": [server], "capabilities": ["server.details"]}
    assert reason(system.noc("POST", "/api/keys", json=body)) == "DEPENDENCY_UNAVAILABLE"
    system.stack.start_service("server_ops")
    eventually(lambda: _answers(system, server, key))


@pytest.fixture(scope="module")
def on_postgres(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """The whole system with its state on PostgreSQL."""
    settings = {
        "F2H_AUTH_DATABASE_URL": postgres.new_database(),
        "F2H_SERVER_OPS_DATABASE_URL": postgres.new_database(),
    }
    with running(tmp_path_factory.mktemp("postgres"), settings) as system:
        yield system


def test_without_the_database_calls_are_unavailable_and_recover_without_a_restart(
    on_postgres: System, postgres: Postgres
) -> None:
    system = on_postgres
    bmc = system.bmc()
    server = system.server(bmc)
    key = system.key(server)
    path = f"/api/servers/{server}/reboot"
    name = system.rest("POST", path, key).json()["name"]
    assert system.finished(name, key)["metadata"]["state"] == "SUCCEEDED"

    postgres.stop()
    try:
        for verb, url in (("GET", f"/api/servers/{server}"), ("POST", path)):
            answer = system.rest(verb, url, key)
            assert (answer.status_code, reason(answer)) == (503, "DEPENDENCY_UNAVAILABLE")
            assert "psycopg" not in answer.text
    finally:
        postgres.start()

    eventually(lambda: _answers(system, server, key))
    name = system.rest("POST", path, key).json()["name"]
    assert system.finished(name, key)["metadata"]["state"] == "SUCCEEDED"
    assert bmc.executed() == ["reset", "reset"]
