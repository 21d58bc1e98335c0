"""The command that asks a service of this machine whether it lives."""

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent import futures
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from lab import ca
from lab.ports import free_port
from services.runtime.mutual_tls import server_credentials

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


def ask(settings: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    """Asks as a container's health check does: in a process with the service's environment."""
    inherited = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    return subprocess.run(
        [sys.executable, "-m", "services.runtime.health", "server_ops"],
        env={**inherited, **settings},
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=False,
    )


@contextmanager
def serving(listen: str, tls: Path | None, status: int = SERVING) -> Iterator[dict[str, str]]:
    """The settings of a service that listens there and says this of itself."""
    server = grpc.server(futures.ThreadPoolExecutor(2))
    servicer = health.HealthServicer()
    servicer.set("", status)
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    if tls is None:
        server.add_insecure_port(listen)
    else:
        server.add_secure_port(listen, server_credentials(tls))
    server.start()
    settings = {"F2H_SERVER_OPS_LISTEN": listen}
    try:
        yield settings if tls is None else {**settings, "F2H_SERVER_OPS_TLS": str(tls)}
    finally:
        server.stop(None).wait()


@pytest.fixture
def tls(tmp_path: Path) -> Path:
    ca.make_services(tmp_path)
    return tmp_path / "server_ops"


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "[::]", "[::1]"])
def test_it_shows_the_services_own_certificate(tls: Path, host: str) -> None:
    with serving(f"{host}:{free_port()}", tls) as settings:
        assert ask(settings).returncode == 0


def test_it_asks_in_the_clear_where_the_service_is_in_the_clear() -> None:
    with serving(f"127.0.0.1:{free_port()}", None) as settings:
        assert ask(settings).returncode == 0


def test_who_does_not_serve_or_is_not_there_is_not_well(tls: Path) -> None:
    with serving(f"127.0.0.1:{free_port()}", tls, NOT_SERVING) as settings:
        assert ask(settings).returncode == 1
    assert ask(settings).returncode == 1


def test_another_service_at_the_port_is_not_this_one(tls: Path) -> None:
    with serving(f"127.0.0.1:{free_port()}", tls.parent / "security") as settings:
        assert ask({**settings, "F2H_SERVER_OPS_TLS": str(tls)}).returncode == 1


def test_a_wrong_setting_is_named(tls: Path) -> None:
    listen = f"0.0.0.0:{free_port()}"
    asked = ask({"F2H_SERVER_OPS_LISTEN": listen})
    assert asked.returncode == 2
    assert asked.stderr.startswith("F2H_SERVER_OPS_LISTEN: ")
    asked = ask({"F2H_SERVER_OPS_LISTEN": listen, "F2H_SERVER_OPS_TLS": str(tls.parent / "edge")})
    assert asked.returncode == 2
    assert asked.stderr.startswith("F2H_SERVER_OPS_TLS: ")
