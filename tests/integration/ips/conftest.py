"""A system with a router, and two servers that an address moves between."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from lab.ipmi_sim import IpmiSim
from lab.router_sim import RouterSim
from tests.integration.conftest import Key, System, running

ONE, OTHER, THIRD = (f"{name}.failover.example.net" for name in ("one", "other", "third"))
FAILOVER = "203.0.113.9"
FAILOVER6 = "2001:db8:f::9"


@dataclass
class Moving:
    """Servers, and a key that may move addresses between two of them."""

    system: System
    bmc: IpmiSim
    key: Key = field(init=False)

    def __post_init__(self) -> None:
        for number, hostname in enumerate((ONE, OTHER, THIRD), 1):
            self.put_server(hostname, [f"192.0.2.{number * 4 - 2}", f"2001:db8:{number}::2"])
        self.key = self.system.key(ONE, OTHER, capabilities=["ip.manage", "server.details"])

    def put_server(self, hostname: str, ips: list[str], account: str = "acme") -> httpx.Response:
        form = {
            "account": account,
            "ips": ips,
            "datacenter": "EU-WEST-F2H",
            "mac": "0c:c4:7a:00:00:01",
            "bmc_address": "127.0.0.1",
            "bmc_port": self.bmc.port,
            "bmc_username": self.bmc.username,
            "bmc_password": self.bmc.password,
        }
        return self.system.noc("PUT", f"/api/noc/servers/{hostname}", json=form)

    def noc(self, verb: str, path: str, **form: Any) -> Any:
        answer = self.system.noc(verb, f"/api/noc/{path}", **({"json": form} if form else {}))
        assert answer.status_code == 200, answer.text
        return answer.json()

    def failover(self, ip: str, hostname: str) -> Any:
        """Registers a failover address at a server."""
        return self.noc("PUT", f"ips/{ip}/failover", hostname=hostname)

    def move(self, ip: str, hostname: str, **form: Any) -> httpx.Response:
        body = {"hostname": hostname, **form}
        return self.system.rest("POST", f"/api/ips/{ip}/move", self.key, json=body)

    def moved(self, ip: str, hostname: str) -> dict[str, Any]:
        """The operation that moves an address, when it has ended."""
        answer = self.move(ip, hostname)
        assert answer.status_code == 200, answer.text
        return self.system.finished(answer.json()["name"], self.key)

    def ips(self, hostname: str) -> list[dict[str, Any]]:
        answer = self.system.rest("GET", f"/api/servers/{hostname}/ips", self.key)
        assert answer.status_code == 200, answer.text
        listed: list[dict[str, Any]] = answer.json()["ips"]
        return listed


@pytest.fixture(scope="package")
def moving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Moving]:
    settings = {"F2H_SERVER_OPS_ROUTER_SECONDS": "1"}
    with running(tmp_path_factory.mktemp("moving"), settings) as system:
        yield Moving(system, system.bmc())


@pytest.fixture(scope="package")
def public_key(moving: Moving) -> str:
    """The key that the system logs in to routers with."""
    return (moving.system.stack.secrets / "f2h_server_ops_ssh_key.pub").read_text()


@pytest.fixture
def router(moving: Moving, public_key: str) -> Iterator[RouterSim]:
    """The router of the failover addresses, which are at ONE."""
    with RouterSim(public_key) as made:
        moving.noc(
            "PUT",
            "routers/gw1",
            address="127.0.0.1",
            port=made.port,
            user="root",
            host_key=made.host_key,
        )
        moving.noc("PUT", "networks/all", cidr="203.0.113.0/24", gateway="203.0.113.1")
        moving.noc("PUT", "networks/failover", cidr="203.0.113.8/29", router="gw1")
        moving.noc("PUT", "networks/failover6", cidr="2001:db8:f::/64", router="gw1")
        for ip in (FAILOVER, FAILOVER6):
            moving.failover(ip, ONE)
        yield made
