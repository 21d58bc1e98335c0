"""What the same request is sent to: ours and the two peers, each running while it is a context."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from bench.load import BenchError
from edge.process import EdgeProcess
from edge.render import UNLIMITED, render
from lab import ca, demo
from lab.ports import HOST
from lab.process import Process
from lab.stack import ROOT, Ports, Stack
from services.auth.keys.secret import generate

READY_SECONDS = 20.0

NO_LIMITS = {"address_limit": UNLIMITED, "subject_limit": UNLIMITED}
"""So that what is measured is not a limit."""


@dataclass(frozen=True)
class Target:
    """Something that answers GET /api/servers/{hostname}."""

    name: str
    url: str
    header: tuple[str, str]
    """What authenticates: a header's name and value."""
    pids: tuple[int, ...]
    """The processes that answer."""

    def check(self) -> None:
        """Raises BenchError unless it shows the server to the key."""
        answer = httpx.get(self.url, headers=dict([self.header]))
        shown = answer.json() if answer.is_success else {}
        if shown.get("hostname") != demo.HOSTNAME or not shown.get("ips"):
            raise BenchError(f"{self.name} answers wrongly: {answer.status_code} {answer.text}")


@contextmanager
def ours(run: Path) -> Iterator[tuple[Target, Target]]:
    """The whole system: the real Envoy, auth, server_ops and security; by key, and by token."""
    server = demo.servers("unused")[0]
    with Stack(run=run, ports=Ports.free(), limits=NO_LIMITS) as stack:
        stack.register(server)
        stack.account(demo.ACCOUNT)
        answer = stack.noc(
            "POST",
            "/api/keys",
            json={
                "account": demo.ACCOUNT,
                "label": "bench",
                "servers": [demo.HOSTNAME],
                "capabilities": ["server.details"],
                "cidrs": ["127.0.0.0/8"],
            },
        )
        if not answer.is_success or stack.edge is None:
            raise BenchError(f"no key could be made: {answer.text}")
        pids = (stack.edge.pid, *(process.pid for process in stack.processes.values()))
        key = _key_header(str(answer.json()["secret"]))
        by_key = Target("ours", _url(stack.url), key, pids)
        by_token = Target("token", by_key.url, _token_header(stack.url, key), pids)
        for target in (by_key, by_token):
            target.check()
            _refuses(target)
        yield by_key, by_token


@contextmanager
def monolith(run: Path) -> Iterator[Target]:
    """Peer (a): one FastAPI application with SQLModel, in one uvicorn worker."""
    key = generate()
    port = Ports.free().public
    environment = {"PEER_DATABASE": str(run / "peer.db"), "PYTHONPATH": f"{ROOT}:{ROOT / 'gen'}"}
    prepare = "import sys; from bench.peers.monolith import prepare; prepare(*sys.argv[1:])"
    subprocess.run(
        [sys.executable, "-c", prepare, key.id, key.secret, demo.HOSTNAME],
        env={**os.environ, **environment},
        check=True,
    )
    command = [sys.executable, "-m", "uvicorn", "bench.peers.monolith:app", "--no-access-log"]
    command += ["--log-level", "warning", "--host", HOST, "--port", str(port)]
    process = Process("monolith", command, run / "monolith.log", environment)
    try:
        url = _url(f"http://{HOST}:{port}")
        target = Target("monolith", url, _key_header(str(key)), (process.pid,))
        _wait(target, process.last_words)
        _refuses(target)
        yield target
    finally:
        process.stop()


@contextmanager
def empty(run: Path) -> Iterator[Target]:
    """Peer (b): our Envoy before an authorization and a handler that do nothing."""
    ports = Ports.free()
    environment = {"PYTHONPATH": f"{ROOT}:{ROOT / 'gen'}"}
    addresses = {"auth": (HOST, ports.auth), "server_ops": (HOST, ports.server_ops)}
    config = run / "empty.json"
    ca.make(run / "tls")
    ca.make_services(run / "services-tls")
    render(
        config,
        public=(HOST, ports.public),
        internal=(HOST, ports.internal),
        provisioning=(HOST, ports.provisioning),
        metrics=(HOST, ports.edge_metrics),
        admin_port=ports.admin,
        upstreams={**addresses, "security": addresses["server_ops"]},
        descriptor=ROOT / "gen" / "descriptor.binpb",
        tls=run / "tls",
        services_tls=run / "services-tls" / "edge",
        images=run,
        static=run,
        limits=NO_LIMITS,
    )
    processes: list[Process] = []
    try:
        for role, (host, port) in addresses.items():
            command = [sys.executable, "-m", "bench.peers.empty", role, f"{host}:{port}"]
            command.append(str(run / "services-tls" / role))
            processes.append(Process(role, command, run / f"empty_{role}.log", environment))
        with EdgeProcess(config, log=run / "empty_envoy.log", concurrency=1) as edge:
            url = _url(f"http://{HOST}:{ports.public}")
            pids = (edge.pid, *(process.pid for process in processes))
            target = Target("empty", url, _key_header(str(generate())), pids)
            _wait(target, processes[0].last_words)
            yield target
    finally:
        for process in processes:
            process.stop()


def _url(base: str) -> str:
    return f"{base}/api/servers/{demo.HOSTNAME}"


def _key_header(key: str) -> tuple[str, str]:
    return "X-API-Key", key


def _token_header(url: str, key: tuple[str, str]) -> tuple[str, str]:
    """A token that lasts as long as the benchmark."""
    answer = httpx.post(
        f"{url}/api/auth/token", headers=dict([key]), json={"lifetime_seconds": 900}
    )
    if not answer.is_success:
        raise BenchError(f"no token could be made: {answer.text}")
    return "Authorization", f"Bearer {answer.json()['access_token']}"


def _refuses(target: Target) -> None:
    name, value = target.header
    answer = httpx.get(target.url, headers={name: value[:-8] + "xxxxxxxx"})
    if answer.status_code != httpx.codes.UNAUTHORIZED:
        raise BenchError(f"{target.name} lets an unknown key pass: {answer.status_code}")


def _wait(target: Target, last_words: Callable[[], str]) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while True:
        try:
            return target.check()
        except (httpx.TransportError, BenchError) as error:
            if time.monotonic() > deadline:
                raise BenchError(f"{target.name}: {error}; {last_words()}") from None
        time.sleep(0.1)
