"""The real Envoy with edge/envoy.yaml, and stand-ins behind it."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from edge.process import EdgeProcess
from edge.render import Limit, render
from lab import ca
from tests.edge.stand_ins import Auth, Client, Service, eventually, free_port

LIMITS = {"subject_limit": Limit(5, 1)}
"""So that a test reaches it; most calls are of GOOD_KEY, which counts nowhere."""

DESCRIPTOR = Path(__file__).parents[2] / "gen" / "descriptor.binpb"


@dataclass
class Edge:
    public: Client
    internal: Client
    auth: Auth
    services: dict[str, Service]
    log: Path
    config: Path
    process: EdgeProcess

    def client(self, listener: str) -> Client:
        return {"public": self.public, "internal": self.internal}[listener]

    def reached(self) -> list[str]:
        """The paths of the calls that got through to a service."""
        return [call.path for service in self.services.values() for call in service.seen]

    def ready(self) -> bool:
        return self.public.rest("GET", "/healthz", key=None).status == 200


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    folder = tmp_path_factory.mktemp("edge")
    auth = Auth()
    # KeyService and CapabilityService are auth's, and so answered where auth listens.
    services = {"auth": Service(), "server_ops": Service(), "security": Service()}
    auth_adds, service_adds = auth.add_to, services["auth"].add_to

    def both(server: object) -> None:
        auth_adds(server)  # type: ignore[arg-type]
        service_adds(server)  # type: ignore[arg-type]

    auth.add_to = both  # type: ignore[method-assign]
    ca.make(folder / "tls")
    config, ports = folder / "envoy.json", (free_port(), free_port(), free_port())
    render(
        config,
        public=("127.0.0.1", ports[0]),
        internal=("127.0.0.1", ports[1]),
        admin_port=ports[2],
        upstreams={
            "auth": auth.address,
            "server_ops": services["server_ops"].address,
            "security": services["security"].address,
        },
        descriptor=DESCRIPTOR,
        tls=folder / "tls",
        limits=LIMITS,
    )
    with ExitStack() as stack:
        for server in (auth, services["server_ops"], services["security"]):
            stack.callback(server.stop)
            server.start()
        process = stack.enter_context(EdgeProcess(config, log=folder / "envoy.log", concurrency=1))
        public, internal = Client(ports[0]), Client(ports[1], folder / "tls")
        stack.callback(public.channel.close)
        stack.callback(internal.channel.close)
        edge = Edge(public, internal, auth, services, folder / "envoy.log", config, process)
        eventually(edge.ready)
        yield edge


@pytest.fixture
def edge(running: Edge) -> Edge:
    """The edge, with everything up and nothing recorded yet."""
    running.auth.reset()
    for service in running.services.values():
        service.reset()
    return running
