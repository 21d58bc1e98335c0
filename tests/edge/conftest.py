"""The real Envoy with edge/envoy.yaml, and stand-ins behind it."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from edge import secrets
from edge.options import Options, apply
from edge.process import EdgeProcess
from edge.render import Limit, render
from lab import ca
from lab.ports import free_port
from tests.edge.stand_ins import Auth, Client, Service, eventually
from tests.edge.tokens import bearer, token

LIMITS = {"subject_limit": Limit(5, 1)}
"""So that a test reaches it; most calls are of GOOD_KEY, which counts nowhere."""

DESCRIPTOR = Path(__file__).parents[2] / "gen" / "descriptor.binpb"


@dataclass
class Edge:
    public: Client
    internal: Client
    provisioning: Client
    metrics_url: str
    images: Path
    """The folder of the images that machines boot."""
    auth: Auth
    services: dict[str, Service]
    log: Path
    config: Path
    process: EdgeProcess
    authority: ca.Authority
    """Of the edge and the services."""

    def client(self, listener: str) -> Client:
        return {"public": self.public, "internal": self.internal}[listener]

    def reached(self) -> list[str]:
        """The paths of the calls that got through to a service."""
        return [call.path for service in self.services.values() for call in service.seen]

    def ready(self) -> bool:
        return self.public.rest("GET", "/healthz", key=None).status == 200

    def knows_token_keys(self) -> bool:
        return takes(self.public, token())


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    with begun(tmp_path_factory.mktemp("edge")) as edge:
        yield edge


@contextmanager
def begun(folder: Path, **options: int) -> Iterator[Edge]:
    """An edge of its own; `options` are further ones of the stand-ins' gRPC servers."""
    tls = folder / "services-tls"
    ca.make(folder / "tls")
    authority = ca.replace_services(tls, datetime.now(UTC))
    auth = Auth(tls / "auth")
    others = {name: Service(tls / name) for name in ("server_ops", "security")}
    services = {"auth": auth.service, **others}
    config, ports = folder / "envoy.json", [free_port() for _ in range(5)]
    (folder / "images").mkdir()
    render(
        config,
        public=("127.0.0.1", ports[0]),
        internal=("127.0.0.1", ports[1]),
        provisioning=("127.0.0.1", ports[3]),
        metrics=("127.0.0.1", ports[4]),
        admin_port=ports[2],
        upstreams={
            "auth": auth.address,
            "server_ops": services["server_ops"].address,
            "security": services["security"].address,
        },
        descriptor=DESCRIPTOR,
        tls=folder / "tls",
        services_tls=tls / "edge",
        images=folder / "images",
        static=folder / "static",
        limits=LIMITS,
    )
    with ExitStack() as stack:
        for server in (auth, services["server_ops"], services["security"]):
            server.options = [(f"grpc.{name}", value) for name, value in options.items()]
            stack.callback(server.stop)
            server.start()
        process = stack.enter_context(EdgeProcess(config, log=folder / "envoy.log", concurrency=1))
        public, internal = Client(ports[0]), Client(ports[1], folder / "tls")
        provisioning = Client(ports[3])
        for client in (public, internal, provisioning):
            stack.callback(client.channel.close)
        edge = Edge(
            public,
            internal,
            provisioning,
            f"http://127.0.0.1:{ports[4]}/metrics",
            folder / "images",
            auth,
            services,
            folder / "envoy.log",
            config,
            process,
            authority,
        )
        eventually(edge.ready)
        eventually(edge.knows_token_keys)
        yield edge


def takes(client: Client, text: str) -> bool:
    """Whether a call with this token passes."""
    return client.rest("GET", "/api/servers", key=None, headers=bearer(text)).status == 200


@dataclass
class Variant:
    """Another edge before the same services, with something changed in its configuration."""

    public: Client
    internal_port: int
    log: Path

    def failed_fetches(self) -> int:
        """How often it could not fetch the keys of tokens."""
        return self.log.read_text().count("/api/auth/jwks: failed")


@contextmanager
def variant(
    edge: Edge,
    folder: Path,
    *changes: tuple[str, str],
    auth: Auth | None = None,
    options: Options | None = None,
) -> Iterator[Variant]:
    """A second Envoy, with another auth if one is given, and what is switched on.

    Each change is a part of the configuration, as JSON, and what to put in its place. Certificates
    are those of `folder`/tls where that is there.
    """
    ports = [free_port() for _ in range(5)]
    config = json.loads(edge.config.read_text())
    listeners = config["static_resources"]["listeners"]
    for listener, port in zip(listeners, (ports[0], ports[1], *ports[3:]), strict=True):
        listener["address"]["socket_address"]["port_value"] = port
    moved = {"edge": ports[0], "admin": ports[2], **({"auth": auth.address[1]} if auth else {})}
    for cluster in config["static_resources"]["clusters"]:
        if cluster["name"] in moved:
            (lb,) = cluster["load_assignment"]["endpoints"][0]["lb_endpoints"]
            lb["endpoint"]["address"]["socket_address"]["port_value"] = moved[cluster["name"]]
    config["admin"]["address"]["socket_address"]["port_value"] = ports[2]
    if options is not None:
        apply(config, options)
        inside = edge.config.parent / "services-tls" / "edge"
        secrets.write(config, folder / "sds", folder / "tls", inside)
    text = json.dumps(config)
    for right, wrong in changes:
        assert right in text
        text = text.replace(right, wrong)
    (folder / "envoy.json").write_text(text)
    with EdgeProcess(folder / "envoy.json", log=folder / "log", concurrency=1):
        client = Client(ports[0], folder / "tls" if options and options.https else None)
        yield Variant(client, ports[1], folder / "log")
        client.channel.close()


@pytest.fixture
def edge(running: Edge) -> Edge:
    """The edge, with everything up and nothing recorded yet."""
    running.auth.reset()
    for service in running.services.values():
        service.reset()
    return running
