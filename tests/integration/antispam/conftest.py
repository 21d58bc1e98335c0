"""A customer's server, a gateway and a mail server, each a network namespace."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import asyncssh
import pytest

from lab.namespaces import Namespaces, inside
from lab.process import Process
from lab.sshd import Sshd
from tests.integration.conftest import WORKER, eventually

KEY = asyncssh.generate_private_key("ssh-ed25519")
PRIVATE, PUBLIC = KEY.export_private_key().decode(), KEY.export_public_key().decode()

NEAR, GATEWAY = (f"10.251.{100 + WORKER}.{host}" for host in (1, 2))
SMTP, SUBMISSION = 25, 587

SENDERS = {4: "192.0.2.2", 6: "2001:db8:1::2"}
"""The addresses of the server that is blocked."""
OTHERS = {4: "192.0.2.3", 6: "2001:db8:1::3"}
"""Further addresses of it."""
OUTSIDE = {4: "198.51.100.2", 6: "2001:db8:c::2"}

_SERVE = f"""
import selectors, socket
found = selectors.DefaultSelector()
for port in ({SMTP}, {SUBMISSION}):
    serving = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True)
    found.register(serving, selectors.EVENT_READ)
print("listening", flush=True)
kept = []
while True:
    for key, _ in found.select():
        kept.append(key.fileobj.accept()[0])
        kept[-1].sendall(b"220 here\\r\\n")
"""

_ASK = """
import socket, sys
sender, receiver, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
try:
    with socket.create_connection((receiver, port), 5, (sender, 0)) as connection:
        print(connection.recv(100).decode().strip())
except OSError as error:
    print(type(error).__name__)
"""


@dataclass
class World:
    """A customer's server, the gateway before it, and a mail server outside."""

    namespaces: Namespaces
    gateway: str
    server: str
    sshd: Sshd

    def reach(self, sender: str, port: int) -> str:
        """What comes of a connection from an address of the server to the mail server."""
        return subprocess.run(
            self.connecting(_ASK, sender, port), capture_output=True, text=True, check=True
        ).stdout.strip()

    def connecting(self, script: str, sender: str, port: int) -> tuple[str, ...]:
        receiver = OUTSIDE[6 if ":" in sender else 4]
        return inside(self.server, [sys.executable, "-c", script, sender, receiver, str(port)])

    def nft(self, *words: str) -> str:
        """What nft on the gateway says."""
        return self.namespaces.run(self.gateway, "nft", *words)


@pytest.fixture(scope="package")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("world")
    with Namespaces() as namespaces:
        gateway, server, outside = (namespaces.add(name) for name in ("g", "s", "o"))
        namespaces.cable("", gateway, (f"{NEAR}/30", f"{GATEWAY}/30"), names=("", "noc"))
        for version in (4, 6):
            namespaces.run(gateway, "sysctl", "-qw", f"net.ipv{version}.conf.all.forwarding=1")
        for name, namespace, near, far in (
            ("in", server, ("192.0.2.1", "2001:db8:1::1"), SENDERS),
            ("out", outside, ("198.51.100.1", "2001:db8:c::1"), OUTSIDE),
        ):
            networks = (f"{near[0]}/29", f"{far[4]}/29"), (f"{near[1]}/64", f"{far[6]}/64")
            namespaces.cable(gateway, namespace, *networks, names=(name, "eth0"))
            for family, via in (("-4", near[0]), ("-6", near[1])):
                namespaces.run(namespace, "ip", family, "route", "add", "default", "via", via)
        for ip in (f"{OTHERS[4]}/29", f"{OTHERS[6]}/64"):
            namespaces.run(server, "ip", "address", "add", ip, "dev", "eth0", "nodad")
        log = folder / "mail.log"
        mail = Process("mail", inside(outside, [sys.executable, "-c", _SERVE]), log, {})
        with Sshd(
            folder / "sshd", PUBLIC, address=GATEWAY, port=2222, within=inside(gateway, [])
        ) as sshd:
            eventually(lambda: "listening" in log.read_text())
            eventually(lambda: "listening" in (sshd.folder / "log").read_text())
            yield World(namespaces, gateway, server, sshd)
        mail.stop()
