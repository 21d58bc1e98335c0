"""Promise 6, before any principal is looked at: a service's port opens to our own parts alone."""

import socket
import ssl
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from lab import ca
from lab.ports import HOST
from lab.stack import Stack
from services.runtime.certificates import AUTHORITIES, CERTIFICATE, KEY
from services.runtime.mutual_tls import expecting
from tests.integration import calls
from tests.integration.calls import RPCS
from tests.integration.conftest import System, eventually, prepared
from tools.contract import Rpc

PARTS = ("edge", *ca.SERVICES)

each_service = pytest.mark.parametrize("service", ca.SERVICES)


def channel(stack: Stack, service: str, shown: tuple[Path, Path] | None) -> grpc.Channel:
    """To a service, which the caller trusts, with this certificate and its key."""
    trusted = (stack.services_tls / "edge" / AUTHORITIES).read_bytes()
    certificate, key = (file.read_bytes() for file in shown) if shown else (None, None)
    credentials = grpc.ssl_channel_credentials(trusted, key, certificate)
    return grpc.secure_channel(stack.address(service), credentials, expecting(service))


def shown_by(kind: str, stack: Stack, folder: Path) -> tuple[Path, Path] | None:
    """The certificate and the key of somebody who must not get in."""
    if kind == "nobody":
        return None
    if kind == "a NOC service":
        return stack.tls / "client.pem", stack.tls / "client.key"
    if kind == "the edge's listener":
        return stack.tls / "internal.pem", stack.tls / "internal.key"
    if kind == "the edge of another authority":
        ca.make_services(folder)
        folder /= "edge"
    if kind == "the edge, too late":
        prepared().authority.issue_part(folder, "edge", datetime.now(UTC) - 2 * ca.VALID)
    return folder / CERTIFICATE, folder / KEY


@each_service
@pytest.mark.parametrize(
    "kind",
    [
        "nobody",
        "a NOC service",
        "the edge's listener",
        "the edge of another authority",
        "the edge, too late",
    ],
)
def test_who_has_no_certificate_of_ours_is_not_spoken_to(
    system: System, tmp_path: Path, kind: str, service: str
) -> None:
    stack = system.stack
    with channel(stack, service, shown_by(kind, stack, tmp_path)) as stranger:
        refuses_everything(stranger, service)
    with stack.channel(service) as edge:
        assert lives(edge)


@each_service
def test_nothing_is_said_in_the_clear(system: System, service: str) -> None:
    with grpc.insecure_channel(system.stack.address(service)) as clear:
        refuses_everything(clear, service)


def refuses_everything(stranger: grpc.Channel, service: str) -> None:
    """There is no connection: neither an RPC, nor health, nor reflection is answered."""
    for rpc in RPCS:
        if calls.service_of(rpc) == service:
            assert code(stranger, rpc) == grpc.StatusCode.UNAVAILABLE
    assert not lives(stranger)
    listing = reflection_pb2.ServerReflectionRequest(list_services="")
    reflection = reflection_pb2_grpc.ServerReflectionStub(stranger)
    with pytest.raises(grpc.RpcError):
        [*reflection.ServerReflectionInfo(iter([listing]), timeout=10)]


def code(stranger: grpc.Channel, rpc: Rpc) -> grpc.StatusCode:
    call = stranger.stream_stream(rpc.path)  # type: ignore[call-arg]
    with pytest.raises(grpc.RpcError) as refused:
        [*call(iter([calls.request(rpc).SerializeToString()]), timeout=10)]
    assert isinstance(refused.value, grpc.Call)
    return refused.value.code()


def lives(asked: grpc.Channel) -> bool:
    try:
        answer = health_pb2_grpc.HealthStub(asked).Check(
            health_pb2.HealthCheckRequest(), timeout=10
        )
    except grpc.RpcError:
        return False
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


@each_service
def test_old_versions_of_tls_are_refused(system: System, service: str) -> None:
    stack = system.stack
    folder = stack.services_tls / "edge"
    old = ssl.create_default_context(cafile=str(folder / AUTHORITIES))
    old.load_cert_chain(folder / CERTIFICATE, folder / KEY)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        old.minimum_version = ssl.TLSVersion.TLSv1
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    old.set_ciphers("DEFAULT:@SECLEVEL=0")
    port = int(stack.address(service).rpartition(":")[2])
    with (
        socket.create_connection((HOST, port)) as plain,
        pytest.raises((ssl.SSLError, ConnectionError)),
    ):
        old.wrap_socket(plain, server_hostname=service)


class Calls:
    """Calls that need every service and go on in a thread, without a pause."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._bmc = system.bmc()
        self._server = system.server(self._bmc)
        self._key = system.key(self._server, capabilities=["server.details", "antihack.status"])
        self._over = threading.Event()
        self._pool = ThreadPoolExecutor(1)
        self._made = self._pool.submit(self._go_on)
        self.rounds = 0

    def _go_on(self) -> None:
        while not self._over.is_set():
            self.round()
            self.rounds += 1

    def round(self) -> None:
        """Raises AssertionError or grpc.RpcError when a call fails."""
        for path in ("", "/antihack"):  # security asks server_ops whose the server is
            url = f"/api/servers/{self._server}{path}"
            assert self._system.rest("GET", url, self._key).status_code == 200
        self._system.key(self._server)  # auth asks server_ops
        self._system.server(self._bmc, hostname=self._server)  # server_ops tells auth

    def stop(self) -> None:
        """Raises what the first call that failed raised."""
        self._over.set()
        self._pool.shutdown()
        self._made.result()


def test_a_new_authority_takes_over_without_a_restart_or_a_failed_call(own_system: System) -> None:
    """As docs/security.md says: trust both, renew the certificates, trust the new one alone."""
    stack = own_system.stack
    old, new = prepared().authority, ca.Authority("new", datetime.now(UTC))
    before = stack.shown("edge")
    calls_ = Calls(own_system)

    def after_two_rounds() -> None:
        made = calls_.rounds
        eventually(lambda: calls_.rounds > made + 2 or calls_._made.done())

    after_two_rounds()
    for part in PARTS:
        ca.trust(stack.services_tls / part, old, new)
    after_two_rounds()
    for part in PARTS:
        new.issue_part(stack.services_tls / part, part)
    after_two_rounds()
    for part in PARTS:
        ca.trust(stack.services_tls / part, new)
    after_two_rounds()
    calls_.stop()

    for service in ca.SERVICES:
        with stack.channel(service) as renewed:
            assert lives(renewed)
        late = grpc.ssl_channel_credentials(
            (stack.services_tls / "edge" / AUTHORITIES).read_bytes(), before.key, before.certificate
        )
        with grpc.secure_channel(stack.address(service), late, expecting(service)) as stranger:
            assert not lives(stranger)
    # Everybody connects to it anew, and it trusts the new authority alone.
    stack.processes["server_ops"].stop()
    stack.start_service("server_ops")
    eventually(lambda: reads(own_system))
    calls_.round()


def reads(system: System) -> bool:
    return system.noc("GET", "/api/noc/servers").status_code == 200
