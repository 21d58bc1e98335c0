"""The whole system on one machine: the real Envoy and the three services as processes.

`make up`, the tests and the benchmark all start it from here.
"""

import hashlib
import ssl
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import grpc
import httpx
from f2h.server_ops.v1 import inventory_pb2, inventory_pb2_grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from edge.options import Options
from edge.process import EdgeProcess
from edge.render import Limit, render
from lab import ca
from lab.ca import SERVICES
from lab.ports import HOST, free_port, is_free
from lab.process import Process
from services.runtime.certificates import Shown, read
from services.runtime.clock import system_clock
from services.runtime.mutual_tls import channel_credentials, expecting
from services.runtime.settings import host_and_port

ROOT = Path(__file__).resolve().parent.parent
READY_SECONDS = 30.0


class StackError(Exception):
    """The stack cannot start or a part of it ended; the text is for the person who started it."""


@dataclass(frozen=True)
class Ports:
    """Where everything listens, on loopback."""

    public: int = 8000
    internal: int = 8001
    provisioning: int = 8002
    admin: int = 9901
    auth: int = 50051
    server_ops: int = 50052
    security: int = 50053
    metrics: int = 9290
    """Where Prometheus reads of server_ops, and of the fleet; the port of ipmi_exporter."""
    auth_metrics: int = 9291
    security_metrics: int = 9293
    edge_metrics: int = 9902

    @classmethod
    def free(cls) -> Self:
        """Ports that nobody listens on at this moment."""
        return cls(*(free_port() for _ in fields(cls)))


@dataclass
class Stack:
    """A running system; as a context manager, ready inside and stopped after."""

    run: Path
    """Folder for everything that it writes: databases, secrets, logs."""
    ports: Ports = field(default_factory=Ports)
    settings: Mapping[str, str] = field(default_factory=dict)
    """Further settings, as the services' environment variables."""
    limits: Mapping[str, Limit] = field(default_factory=dict)
    """The edge's limits, where they are not its own: by the name of the filter."""
    options: Options = field(default_factory=Options)
    """What is switched on at the edge."""
    machines_see: str = HOST
    """The address of this machine for machines that boot."""
    traces: str = ""
    """The collector that every trace is sent to, host and port; empty: none is."""
    prepared: bool = False
    """Whether `prepare` was done for this folder, or for the one that it is a copy of."""

    def __post_init__(self) -> None:
        self.processes: dict[str, Process] = {}
        self.edge: EdgeProcess | None = None
        self.logs = self.run / "logs"
        self.secrets = self.run / "secrets"
        self.tls = self.run / "tls"
        """Certificates: ca.pem to trust, client.pem and client.key of a NOC service."""
        self.services_tls = self.run / "services-tls"
        """For "edge" and each service a folder of what it shows and trusts between them."""
        self.images = self.run / "images"
        """The files of images that machines boot."""

    @property
    def url(self) -> str:
        """The public base of the REST API, without "/api"."""
        return f"http://{HOST}:{self.ports.public}"

    @property
    def internal_url(self) -> str:
        """The base of the NOC's side."""
        return f"https://{HOST}:{self.ports.internal}"

    @property
    def provisioning_url(self) -> str:
        """The base of what machines ask that boot, as they see it."""
        return f"http://{self.machines_see}:{self.ports.provisioning}"

    def address(self, service: str) -> str:
        """Host and port of a service's own gRPC server, past the edge."""
        return f"{HOST}:{getattr(self.ports, service)}"

    def channel(self, service: str, as_: str = "edge", address: str = "") -> grpc.Channel:
        """A channel to a service, past the edge, or to another process of it at `address`.

        `as_` is who shows a certificate: "edge" or a service. Raises CertificateError.
        """
        credentials = channel_credentials(self.shown(as_))
        address = address or self.address(service)
        return grpc.secure_channel(address, credentials, expecting(service))

    def shown(self, part: str) -> Shown:
        """The certificate of "edge" or a service. Raises CertificateError."""
        return read(self.services_tls / part, system_clock())

    def prepare(self) -> None:
        """Makes what is not there yet: folders, certificates, secrets, the databases' tables.

        Raises StackError.
        """
        self.logs.mkdir(parents=True, exist_ok=True)
        self.images.mkdir(exist_ok=True)
        ca.make(self.tls)
        ca.make_services(self.services_tls)
        for service in SERVICES:
            self._command(service, "create-secrets", str(self.secrets))
        for service in SERVICES:
            self._command(service, "migrate")

    def start(self) -> None:
        """Starts everything, and returns when all of it is ready. Raises StackError."""
        self._refuse_taken_ports()
        if not self.prepared:
            self.prepare()
        try:
            for service in SERVICES:
                self._launch(service)
            for service in SERVICES:
                self.wait_until_healthy(service)
            self.start_edge()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stops everything, the edge first, and last auth: the others tell it how calls ended."""
        if self.edge is not None:
            self.edge.stop()
            self.edge = None
        auth = self.processes.pop("auth", None)
        for process in self.processes.values():
            process.ask_to_stop()
        for process in self.processes.values():
            process.stop()
        if auth is not None:
            auth.stop()
        self.processes.clear()

    def start_edge(self) -> None:
        """Starts Envoy."""
        config = self.run / "envoy.json"
        render(
            config,
            public=(HOST, self.ports.public),
            internal=(HOST, self.ports.internal),
            provisioning=(HOST, self.ports.provisioning),
            metrics=(HOST, self.ports.edge_metrics),
            admin_port=self.ports.admin,
            upstreams={service: (HOST, getattr(self.ports, service)) for service in SERVICES},
            descriptor=ROOT / "gen" / "descriptor.binpb",
            tls=self.tls,
            services_tls=self.services_tls / "edge",
            images=self.images,
            static=ROOT / "edge" / "static",
            limits=self.limits,
            options=self.options,
            traces=host_and_port(self.traces) if self.traces else None,
        )
        self.edge = EdgeProcess(config, log=self.logs / "envoy.log", concurrency=1)
        self.edge.start()

    def start_service(self, service: str) -> None:
        """Starts a service again and waits until it is healthy."""
        self._launch(service)
        self.wait_until_healthy(service)

    def wait_until_healthy(self, service: str) -> None:
        """Returns when the service says SERVING. Raises StackError with its last words."""
        process = self.processes[service]
        with self.channel(service) as channel:
            ready = health_pb2_grpc.HealthStub(channel)
            try:
                ready.Check(
                    health_pb2.HealthCheckRequest(), timeout=READY_SECONDS, wait_for_ready=True
                )
            except grpc.RpcError:
                words = process.last_words()
                raise StackError(f"{service} did not become healthy: {words}") from None
        if process.poll() is not None:
            raise StackError(f"{service} ended: {process.last_words()}")

    def noc_key(self) -> str:
        """A NOC service's key, made once."""
        path = self.secrets / "noc.key"
        if not path.exists():
            label = "--label=make up"
            self._command("auth", "create-noc-key", label, f"--secret-file={path}")
        return path.read_text().strip()

    def allow_certificate(self) -> None:
        """Lets a NOC service in that shows the client certificate, once."""
        done = self.tls / "allowed"
        if not done.exists():
            self._command("auth", "allow-noc-certificate", ca.NOC_SERVICE, "--label=make up")
            done.touch()

    def trust(self) -> ssl.SSLContext:
        """What a client of the internal listener trusts: our own authority, and nobody else."""
        return ssl.create_default_context(cafile=str(self.tls / "ca.pem"))

    def internal_channel(self) -> grpc.Channel:
        """A gRPC channel to the NOC's side."""
        root = (self.tls / "ca.pem").read_bytes()
        credentials = grpc.ssl_channel_credentials(root_certificates=root)
        return grpc.secure_channel(f"{HOST}:{self.ports.internal}", credentials)

    def noc(self, verb: str, path: str, **options: Any) -> httpx.Response:
        """A REST call of a NOC service."""
        headers = {"X-API-Key": self.noc_key(), **options.pop("headers", {})}
        url = f"{self.internal_url}{path}"
        return httpx.request(verb, url, headers=headers, verify=self.trust(), timeout=20, **options)

    def account(self, account_id: str, kind: str = "CUSTOMER") -> None:
        """Makes an account, unless it is there. Raises StackError."""
        answer = self.noc("POST", "/api/noc/accounts", json={"id": account_id, "kind": kind})
        if not answer.is_success and answer.status_code != httpx.codes.CONFLICT:
            raise StackError(f"no account could be made: {answer.text}")

    def register(self, server: inventory_pb2.PutServerRequest) -> None:
        """Registers a server, as a NOC service does it."""
        with self.internal_channel() as channel:
            inventory_pb2_grpc.InventoryServiceStub(channel).PutServer(
                server, metadata=(("x-api-key", self.noc_key()),), timeout=10
            )

    def image(self, name: str, kind: str, kernel: bytes, initrd: bytes, command_line: str) -> None:
        """Puts the files of an image below the root and makes it known. Raises StackError."""
        folder = self.images / name
        folder.mkdir(exist_ok=True)
        form: dict[str, Any] = {"kind": kind, "command_line": command_line}
        for role, content in (("kernel", kernel), ("initrd", initrd)):
            (folder / role).write_bytes(content)
            digest = hashlib.sha256(content).hexdigest()
            form[role] = {"path": f"{name}/{role}", "sha256": digest}
        answer = self.noc("PUT", f"/api/noc/images/{name}", json=form)
        if not answer.is_success:
            raise StackError(f"no image could be made known: {answer.text}")

    def simulated_image(self, name: str, kind: str) -> None:
        """An image that only simulated machines boot. Raises StackError."""
        self.image(name, kind, b"a simulated kernel", b"a simulated RAM disk", "console=ttyS0")

    def environment(self, service: str) -> dict[str, str]:
        """The settings that a service is started with; no secret is among them."""
        prefix = f"F2H_{service.upper()}_"
        environment = {
            "PYTHONPATH": f"{ROOT}:{ROOT / 'gen'}",
            "F2H_SECRETS_DIR": str(self.secrets),
            f"{prefix}TLS": str(self.services_tls / service),
            f"{prefix}LISTEN": self.address(service),
            f"{prefix}PRINCIPAL_PUBLIC_KEYS": self._public_keys("principal"),
            f"{prefix}SERVICE_PUBLIC_KEYS": self._public_keys("service"),
            "F2H_AUTH_PUBLIC_URL": self.url,
            "F2H_SERVER_OPS_PROVISIONING_URL": self.provisioning_url,
            "F2H_SERVER_OPS_IMAGES": str(self.images),
            # The addresses of simulated servers are somebody's, or nobody's.
            "F2H_SERVER_OPS_MONITORING_ICMP": "false",
            "F2H_SERVER_OPS_MONITORING_TCP_PORT": "0",
            "F2H_SERVER_OPS_METRICS": f"{HOST}:{self.ports.metrics}",
            "F2H_AUTH_METRICS": f"{HOST}:{self.ports.auth_metrics}",
            "F2H_SECURITY_METRICS": f"{HOST}:{self.ports.security_metrics}",
            f"{prefix}TRACES": self.traces,
            f"{prefix}DATABASE_URL": f"sqlite:///{self.run / service}.db",
        }
        for other in SERVICES:
            environment[f"{prefix}{other.upper()}"] = self.address(other)
        return {**environment, **self.settings}

    def _public_keys(self, kind: str) -> str:
        path = self.secrets / f"{kind}_public_keys.json"
        return path.read_text().strip() if path.exists() else "{}"

    def _launch(self, service: str) -> None:
        command = [sys.executable, "-m", f"services.{service}"]
        log = self.logs / f"{service}.log"
        self.processes[service] = Process(service, command, log, self.environment(service))

    def _command(self, service: str, *arguments: str) -> None:
        done = subprocess.run(
            [sys.executable, "-m", f"services.{service}", *arguments],
            env=self.environment(service),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            what = f"{service} {arguments[0]}"
            raise StackError(f"{what} failed: {done.stderr.strip() or done.stdout.strip()}")

    def _refuse_taken_ports(self) -> None:
        for name, port in vars(self.ports).items():
            if not is_free(port):
                raise StackError(
                    f"port {port} ({name}) is taken: stop what listens there, or see `make help` "
                    "for how to choose other ports"
                )

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


def write_private(path: Path, text: str) -> None:
    """Writes a file that only its owner can read."""
    path.touch(mode=0o600)
    path.write_text(text)
