"""A server that is made to boot from the network; the test plays the machine."""

import urllib.error
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self

import pytest

from lab.booting import NetworkBoot, token_in
from lab.ipmi_sim import IpmiSim
from tests.integration.conftest import Key, System, eventually

SSH_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIevE8V8z3U0nHzZ0aSLe5jS4Lk9f8mVtPMhYkX5Y0b0 me@home"


@dataclass
class Booting:
    """A server, its BMC, and a key that may do with it what the test does."""

    system: System
    bmc: IpmiSim
    hostname: str
    key: Key
    executed: int = 0
    """How much its BMC had executed when an operation was asked for last."""

    @classmethod
    def of(cls, system: System, bmc: IpmiSim, *capabilities: str, **server: Any) -> Self:
        """A new server with this BMC, registered as `server` says."""
        hostname = system.server(bmc, **server)
        return cls(system, bmc, hostname, system.key(hostname, capabilities=capabilities))

    def machine(self) -> NetworkBoot:
        """The machine, at the beginning of a boot."""
        return NetworkBoot(self.system.stack.provisioning_url, self.server()["mac"])

    def server(self) -> dict[str, Any]:
        return self.told("")

    def told(self, path: str) -> dict[str, Any]:
        """What a GET is answered."""
        answer = self.call("GET", path)
        assert answer.status_code == 200, answer.text
        told: dict[str, Any] = answer.json()
        return told

    def call(self, verb: str, path: str, **options: Any) -> Any:
        return self.system.rest(verb, f"/api/servers/{self.hostname}{path}", self.key, **options)

    def asked(self, path: str, **form: Any) -> str:
        """The name of the operation that was accepted."""
        self.executed = len(self.bmc.executed())
        answer = self.call("POST", path, json=form)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["name"])

    def ended(self, name: str) -> dict[str, Any]:
        return self.system.finished(name, self.key)

    def booting(self) -> NetworkBoot:
        """The machine when it is restarted to boot from the network."""
        eventually(lambda: self.bmc.executed()[self.executed :] == ["power_0", "power_1"])
        assert self.bmc.boot() == "pxe"
        return self.machine()


def begin(machine: NetworkBoot) -> dict[str, Any]:
    """Boots what the machine is told, and begins."""
    token = token_in(machine.script())
    assert token
    return machine.begin(token)


@contextmanager
def refused(status: int, why: str) -> Iterator[None]:
    """What the machine asks is refused with this status and reason."""
    with pytest.raises(urllib.error.HTTPError) as error:
        yield
    text = error.value.read().decode()
    assert (error.value.code, why in text) == (status, True), text
