"""A failover address between machines that are network namespaces, through a real Linux router."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import asyncssh
import pytest

from lab.namespaces import Namespaces, inside
from lab.process import Process
from lab.router_sim import RouterSim
from lab.sshd import Sshd
from services.server_ops.adapters.linux_router import LinuxRouting
from services.server_ops.ips.router import Router, RouterError
from tests.integration.conftest import WORKER, eventually
from tests.integration.ips.conftest import FAILOVER, FAILOVER6, ONE, OTHER, Moving

PORT = 7000
NEAR, ROUTER = (f"10.251.{50 + WORKER}.{host}" for host in (1, 2))

_SERVE = f"""
import socket, sys
serving = socket.create_server(("::", {PORT}), family=socket.AF_INET6, dualstack_ipv6=True)
while True:
    connection, _ = serving.accept()
    connection.sendall(sys.argv[1].encode())
    connection.close()
"""

_ASK = """
import socket, sys
try:
    with socket.create_connection((sys.argv[1], int(sys.argv[2])), 2) as connection:
        print(connection.recv(100).decode())
except OSError as error:
    print(type(error).__name__)
"""


@dataclass
class World:
    """A client, a router and two servers, each a namespace."""

    namespaces: Namespaces
    client: str
    sshd: Sshd

    def answers(self, ip: str) -> str:
        """Who answers a TCP connection of the client."""
        command = inside(self.client, [sys.executable, "-c", _ASK, ip, str(PORT)])
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, public_key: str) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("world")
    processes = []
    with Namespaces() as namespaces:
        router, client = namespaces.add("r"), namespaces.add("c")
        namespaces.cable("", router, (f"{NEAR}/30", f"{ROUTER}/30"), names=("", "noc"))
        for version in (4, 6):
            namespaces.run(router, "sysctl", "-qw", f"net.ipv{version}.conf.all.forwarding=1")
        outside = ("198.51.100.1/30", "198.51.100.2/30"), ("2001:db8:c::1/64", "2001:db8:c::2/64")
        namespaces.cable(router, client, *outside, names=("out", "eth0"))
        _default(namespaces, client, "198.51.100.1", "2001:db8:c::1")
        for number, hostname in enumerate((ONE, OTHER), 1):
            server = namespaces.add(f"s{number}")
            own, gateway = f"192.0.2.{number * 4 - 2}", f"192.0.2.{number * 4 - 3}"
            namespaces.cable(
                router,
                server,
                (f"{gateway}/30", f"{own}/30"),
                (f"2001:db8:{number}::1/64", f"2001:db8:{number}::2/64"),
                names=(f"to{number}", "eth0"),
            )
            _default(namespaces, server, gateway, f"2001:db8:{number}::1")
            for ip in (FAILOVER, FAILOVER6):
                namespaces.run(server, "ip", "address", "add", ip, "dev", "lo")
            command = inside(server, [sys.executable, "-c", _SERVE, hostname])
            processes.append(Process(hostname, command, folder / f"{number}.log", {}))
        with Sshd(
            folder / "sshd", public_key, address=ROUTER, port=2222, within=inside(router, [])
        ) as sshd:
            yield World(namespaces, client, sshd)
        for process in processes:
            process.stop()


def _default(namespaces: Namespaces, namespace: str, ipv4: str, ipv6: str) -> None:
    for gateway in (ipv4, ipv6):
        family = "-6" if ":" in gateway else "-4"
        namespaces.run(namespace, "ip", family, "route", "add", "default", "via", gateway)


@pytest.mark.parametrize("ip", [FAILOVER, FAILOVER6], ids=["IPv4", "IPv6"])
def test_tcp_connections_follow_the_address(world: World, moving: Moving, ip: str) -> None:
    eventually(lambda: "listening" in (world.sshd.folder / "log").read_text())
    moving.noc(
        "PUT",
        "routers/linux",
        address=ROUTER,
        port=world.sshd.port,
        user="root",
        host_key=world.sshd.host_key,
    )
    moving.noc("PUT", "networks/failover", cidr="203.0.113.8/29", router="linux")
    moving.noc("PUT", "networks/failover6", cidr="2001:db8:f::/64", router="linux")
    moving.failover(ip, OTHER)
    assert world.answers(ip) in {"TimeoutError", "OSError", "timeout"}  # nobody routes it yet

    for hostname in (ONE, OTHER, ONE):
        ended = moving.moved(ip, hostname)
        assert "response" in ended, ended["error"]["message"]
        assert world.answers(ip) == hostname


@pytest.fixture(params=["linux", "simulated"])
def contract(
    request: pytest.FixtureRequest, world: World, public_key: str
) -> Iterator[tuple[Router, str]]:
    """A router, and an address that nobody has routed yet; the real one and the simulator."""
    if request.param == "linux":
        sshd = world.sshd
        yield Router("linux", ROUTER, sshd.port, "root", sshd.host_key), "203.0.113.10"
        return
    with RouterSim(public_key) as simulated:
        host_key = simulated.host_key
        yield Router("simulated", "127.0.0.1", simulated.port, "root", host_key), "203.0.113.10"


async def test_a_router_does_what_routing_says(
    contract: tuple[Router, str], moving: Moving
) -> None:
    router, ip = contract
    private_key = (moving.system.stack.secrets / "f2h_server_ops_ssh_key").read_text()
    routing = LinuxRouting(private_key, "ip", 5)
    for address, hops in ((ip, ["192.0.2.2", "192.0.2.6"]), ("2001:db8:f::a", ["2001:db8:1::2"])):
        assert await routing.next_hop(router, address) is None
        for hop in [hop for hop in hops for _ in range(2)]:
            await routing.route(router, address, hop)
            assert await routing.next_hop(router, address) == hop
    with pytest.raises(RouterError, match="refused the command"):
        await LinuxRouting(private_key, "false", 5).route(router, ip, "192.0.2.2")
    with pytest.raises(RouterError, match="refused our login"):
        other = asyncssh.generate_private_key("ssh-ed25519").export_private_key().decode()
        await LinuxRouting(other, "ip", 5).next_hop(router, ip)
    with pytest.raises(RouterError, match="no key"):
        await LinuxRouting("", "ip", 5).next_hop(router, ip)
