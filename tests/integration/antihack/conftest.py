"""A system with two gateways, each with a real fail2ban; one of them is reached over SSH."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncssh
import httpx
import pytest

from lab.fail2ban import Fail2ban
from lab.ipmi_sim import IpmiSim
from lab.ports import HOST, free_port
from lab.sshd import Sshd
from tests.integration.conftest import Key, System, eventually, running

KEY = asyncssh.generate_private_key("ssh-ed25519")
PRIVATE, PUBLIC = KEY.export_private_key().decode(), KEY.export_public_key().decode()

ONE, NEIGHBOUR, STRANGER = (f"{name}.antihack.example.net" for name in ("one", "two", "three"))
IPS = {
    ONE: ("203.0.113.9", "2001:db8::9"),
    NEIGHBOUR: ("203.0.113.90",),
    STRANGER: ("203.0.113.91",),
}
SSHD, SSHD6, WEB = "sshd-203.0.113.9", "sshd-2001-db8--9", "nginx_http_auth-203.0.113.9"
OF_NEIGHBOUR, OF_STRANGER, OF_ALL = "sshd-203.0.113.90", "sshd-203.0.113.91", "recidive"
ALL = ("antihack.status", "antihack.unban", "antihack.us_unblock")
BAD, BAD6 = "192.0.2.66", "2001:db8:bad::1"


@dataclass
class Gates:
    """A system, its gateways' fail2bans, and a key for one server."""

    system: System
    bmc: IpmiSim
    eu: Fail2ban
    us: Fail2ban
    logs: Path
    key: Key

    def get(self, hostname: str = ONE, key: Key | None = None, **query: Any) -> dict[str, Any]:
        """The status of a server as it is now."""
        answer = self.system.rest(
            "GET",
            f"/api/servers/{hostname}/antihack",
            key or self.key,
            params={"max_age_seconds": 0, **query},
        )
        assert answer.status_code == 200, answer.text
        told: dict[str, Any] = answer.json()
        return told

    def unban(self, ip: str, hostname: str = ONE, **form: Any) -> httpx.Response:
        path = f"/api/servers/{hostname}/antihack/unban"
        return self.system.rest("POST", path, self.key, json={"ip": ip, **form})

    def put(self, hostname: str, ips: tuple[str, ...], account: str = "acme") -> None:
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
        assert self.system.noc("PUT", f"/api/noc/servers/{hostname}", json=form).is_success


@pytest.fixture(scope="package")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gates]:
    folder = tmp_path_factory.mktemp("antihack")
    with ExitStack() as exits:
        servers = {}
        for region in ("eu", "us"):
            # The path of a socket is short.
            short = tmp_path_factory.mktemp(region)
            jails = {}
            for jail in (SSHD, SSHD6, WEB, OF_NEIGHBOUR, OF_STRANGER, OF_ALL):
                jails[jail] = short / f"{jail}.log"
            servers[region] = exits.enter_context(Fail2ban(short / "f", jails))
        sshd = exits.enter_context(Sshd(folder / "sshd", PUBLIC, address=HOST, port=free_port()))
        settings = {
            "F2H_SECURITY_SSH_KEY": PRIVATE,
            "F2H_SECURITY_WATCH_SECONDS": "1",
            "F2H_SECURITY_GATEWAY_SECONDS": "3",
        }
        system = exits.enter_context(running(folder, settings))
        bmc = system.bmc()
        system.account("stranger")
        key = Key("", "")
        made = Gates(system, bmc, servers["eu"], servers["us"], folder, key)
        for hostname, ips in IPS.items():
            made.put(hostname, ips, "stranger" if hostname == STRANGER else "acme")
        made.key = system.key(ONE, capabilities=ALL)
        eventually(lambda: "listening" in (sshd.folder / "log").read_text())
        login = {"address": HOST, "port": sshd.port, "user": "root", "host_key": sshd.host_key}
        for name, fail2ban, ssh in (("gw.eu", made.eu, None), ("gw.us", made.us, login)):
            form = {
                "region": name[-2:].upper(),
                "networks": ["203.0.113.0/24", "2001:db8::/32"],
                "fail2ban_socket": str(fail2ban.socket),
                **({"ssh": ssh} if ssh else {}),
            }
            assert system.noc("PUT", f"/api/noc/gateways/{name}", json=form).is_success
        yield made


@pytest.fixture
def gates(stage: Gates) -> Iterator[Gates]:
    """No jail blocks anything before and after."""
    yield stage
    for fail2ban in (stage.eu, stage.us):
        fail2ban.client("unban", "--all")
