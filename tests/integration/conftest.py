"""The whole system: the real Envoy, the three services as processes, BMCs by `ipmi_sim`."""

import atexit
import functools
import itertools
import os
import shutil
import ssl
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from f2h.server_ops.v1 import inventory_pb2

from lab import ca
from lab.ipmi_sim import IpmiSim
from lab.node import Node
from lab.redfish_sim import RedfishSim
from lab.stack import Ports, Stack

ACCOUNT = "acme"

WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
"""Which of the processes that run tests this is, for what they must not share."""
CAPABILITIES = ("server.details", "server.reboot")

SETTINGS = {
    # A machine that does not restart is given up early, and one that does is seen soon.
    "F2H_SERVER_OPS_RESTART_SECONDS": "15",
    "F2H_SERVER_OPS_RESTART_POLL_SECONDS": "0.2",
    # The same of one that boots from the network; several tests wait for that.
    "F2H_SERVER_OPS_RESCUE_SECONDS": "10",
    "F2H_SERVER_OPS_HEARTBEAT_SECONDS": "0.5",
    # One key is exchanged in a whole matrix of tests.
    "F2H_AUTH_TOKENS_PER_MINUTE": "1000",
}

PATIENT = {"F2H_SERVER_OPS_RESTART_SECONDS": "120", "F2H_SERVER_OPS_RESCUE_SECONDS": "120"}
"""Settings for tests in which a machine waits for a service that was ended to be there again."""


IN_THE_CLEAR = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""For calls without TLS: httpx would read all authorities of the machine, 20 ms of CPU a call."""


@dataclass
class Key:
    """An API key and what it says."""

    id: str
    secret: str

    @property
    def headers(self) -> dict[str, str]:
        return {"X-API-Key": self.secret}

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        return (("x-api-key", self.secret),)


@dataclass
class System:
    """A running system, and what a test does with it."""

    stack: Stack
    folder: Path
    exits: ExitStack
    channel: grpc.Channel
    numbers: Iterator[int] = field(default_factory=itertools.count)

    @property
    def trust(self) -> ssl.SSLContext:
        """What a client of the internal listener trusts."""
        return self.stack.trust()

    def bmc(self, **options: Any) -> IpmiSim:
        """A new BMC."""
        return self.exits.enter_context(
            IpmiSim(self.folder / f"bmc{next(self.numbers)}", **options)
        )

    def redfish(self) -> RedfishSim:
        """A new BMC that speaks Redfish, the only one."""
        return self.exits.enter_context(RedfishSim(self.folder / "redfish"))

    def server(
        self,
        bmc: IpmiSim | RedfishSim,
        *,
        account: str = ACCOUNT,
        port: int = 0,
        hostname: str = "",
        mac: str = "",
        uuid: str = "",
        ip: str = "",
    ) -> str:
        """Registers a new server with this BMC, or through a proxy at `port`; its hostname."""
        number = next(self.numbers)
        high, low = divmod(number, 256)
        hostname = hostname or f"ns{number}.fleet.example.net"
        self.stack.register(
            inventory_pb2.PutServerRequest(
                hostname=hostname,
                account=account,
                ips=[ip] if ip else [f"198.18.{high}.{low}", f"2001:db8::{number:x}"],
                uuid=uuid,
                datacenter="EU-WEST-F2H",
                mac=mac or f"0c:c4:7a:00:{high:02x}:{low:02x}",
                bmc_address="127.0.0.1",
                bmc_port=port or bmc.port,
                bmc_username=bmc.username,
                bmc_password=bmc.password,
                bmc_protocol=inventory_pb2.BMC_PROTOCOL_REDFISH
                if isinstance(bmc, RedfishSim)
                else inventory_pb2.BMC_PROTOCOL_IPMI,
            )
        )
        return hostname

    def machine(self) -> Node:
        """A new machine in QEMU, which is off, and boots what this system says."""
        number = next(self.numbers)
        return self.exits.enter_context(
            Node(
                self.folder / f"node{number}",
                bootfile=f"{self.stack.provisioning_url}/boot.ipxe",
                mac=f"0c:c4:7b:00:00:{number:02x}",
                uuid=f"11111111-2222-4333-8444-{number:012x}",
            )
        )

    def key(self, *servers: str, **form: Any) -> Key:
        """A new key for the servers."""
        body = {"account": ACCOUNT, "servers": servers, "capabilities": CAPABILITIES, **form}
        answer = self.noc("POST", "/api/keys", json=body)
        assert answer.status_code == 200, answer.text
        return Key(answer.json()["key"]["id"], answer.json()["secret"])

    def noc(self, verb: str, path: str, **options: Any) -> httpx.Response:
        """A call of a NOC service."""
        return self.stack.noc(verb, path, **options)

    def account(self, account_id: str, kind: str = "CUSTOMER") -> None:
        """Makes an account, unless it is there."""
        self.stack.account(account_id, kind)

    def rest(self, verb: str, path: str, key: Key | None = None, **options: Any) -> httpx.Response:
        """A customer's call."""
        headers = {**(key.headers if key else {}), **options.pop("headers", {})}
        given = {"headers": headers, "verify": IN_THE_CLEAR, "timeout": 30, **options}
        return httpx.request(verb, f"{self.stack.url}{path}", **given)

    def finished(self, name: str, key: Key, seconds: float = 40) -> dict[str, Any]:
        """The operation with this name, when it has ended."""

        def ended() -> dict[str, Any] | None:
            answer = self.rest("GET", f"/api/{name}", key)
            assert answer.status_code == 200, answer.text
            operation: dict[str, Any] = answer.json()
            return operation if operation["done"] else None

        operation: dict[str, Any] = eventually(ended, seconds)
        return operation


def eventually(look: Callable[[], Any], seconds: float = 20) -> Any:
    """What `look` answers as soon as that is true, looked for again and again."""
    deadline = time.monotonic() + seconds
    while True:
        seen = look()
        if seen:
            return seen
        assert time.monotonic() < deadline, f"not so within {seconds} s: {look}"
        time.sleep(0.05)


def reason(answer: httpx.Response) -> str:
    """The reason in an error's ErrorInfo."""
    details = answer.json()["details"]
    infos = [each for each in details if each["@type"].endswith("google.rpc.ErrorInfo")]
    assert len(infos) == 1, answer.text
    assert infos[0]["domain"] == "f2hcloud"
    return str(infos[0]["reason"])


@dataclass(frozen=True)
class Prepared:
    """What takes long to make, for all systems."""

    run: Path
    """The folder of a system that was never started."""
    authority: ca.Authority
    """Of the edge and the services."""


@functools.cache
def prepared() -> Prepared:
    """Made once."""
    folder = Path(tempfile.mkdtemp(prefix="f2hcloud-prepared-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    stack = Stack(folder / "run", Ports.free())
    authority = ca.replace_services(stack.services_tls, datetime.now(UTC))
    stack.prepare()
    stack.noc_key()
    return Prepared(stack.run, authority)


@contextmanager
def running(
    folder: Path,
    settings: Mapping[str, str] | None = None,
    ports: Ports | None = None,
    **options: Any,
) -> Iterator[System]:
    """A system of its own, which runs inside, with further settings and options of its stack."""
    ca.make(folder / "redfish" / "tls")
    trust = {"F2H_SERVER_OPS_REDFISH_TRUST": str(folder / "redfish" / "tls" / "ca.pem")}
    given = {**SETTINGS, **trust, **(settings or {})}
    copied = not any(name.endswith("DATABASE_URL") for name in given)
    if copied:
        shutil.copytree(prepared().run, folder / "run")
    with (
        Stack(folder / "run", ports or Ports.free(), given, prepared=copied, **options) as stack,
        ExitStack() as exits,
        grpc.insecure_channel(f"127.0.0.1:{stack.ports.public}") as channel,
    ):
        made = System(stack, folder, exits, channel)
        made.account(ACCOUNT)
        stack.simulated_image("rescue", "IMAGE_KIND_RESCUE")
        yield made
    refuse_undeclared_reasons(stack.logs)


def refuse_undeclared_reasons(logs: Path) -> None:
    """Fails when a service answered with a reason that the contract does not say of the RPC."""
    lines = [line for log in sorted(logs.glob("*.log")) for line in log.read_text().splitlines()]
    undeclared = {line for line in lines if '"undeclared reason"' in line}
    assert not undeclared, "\n".join(sorted(undeclared))


@pytest.fixture(scope="session")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """For tests that leave it as it was, but for servers and keys of their own."""
    # A whole matrix of tests shows it what is wrong, from one address.
    settings = {"F2H_AUTH_FAILURES_PER_MINUTE": "10000"}
    with running(tmp_path_factory.mktemp("system"), settings) as made:
        yield made


@pytest.fixture(scope="module")
def own_system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """For the tests of one module, which stop a part of it or count what it did."""
    # A machine that boots waits until what was stopped is there again.
    settings = {"F2H_SERVER_OPS_RESCUE_SECONDS": "120"}
    with running(tmp_path_factory.mktemp("own_system"), settings) as made:
        yield made


@pytest.fixture(scope="module")
def patient_system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """The same, where nothing fails of that a service takes long to start again."""
    with running(tmp_path_factory.mktemp("patient_system"), PATIENT) as made:
        yield made


@pytest.fixture
def bmc(system: System) -> IpmiSim:
    """A BMC of this test's own."""
    return system.bmc()
