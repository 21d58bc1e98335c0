"""A gateway, and where gateways are kept."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from services.runtime.networks import is_within


@dataclass(frozen=True)
class SshLogin:
    """How a gateway is reached over SSH."""

    address: str
    """An IP address."""
    port: int
    user: str
    host_key: str
    """Its public host key, as OpenSSH writes it."""


@dataclass(frozen=True)
class Gateway:
    """A machine that stands before servers: it runs fail2ban, and may block their port 25."""

    name: str
    region: str
    """For instance "EU" or "US"."""
    networks: tuple[str, ...]
    """The networks that it protects, in canonical form."""
    ssh: SshLogin | None
    """None: it is the machine that this service runs on."""
    socket: str = "/var/run/fail2ban/fail2ban.sock"
    """Path of fail2ban's socket on it."""
    time_zone: str = "UTC"
    """Its time zone (IANA name): fail2ban tells times in it, and does not say which."""
    mail_gate: bool = False
    """Whether it blocks port 25 of the addresses that are blocked for spam."""

    def protects(self, ip: str) -> bool:
        """Whether the address, in canonical form, is in one of its networks."""
        return is_within(ip, self.networks)


class Gateways(Protocol):
    """Where gateways are kept."""

    async def all(self) -> list[Gateway]:
        """All of them, by name."""
        ...

    async def put(self, gateway: Gateway) -> None:
        """Keeps a gateway in place of the one of its name."""
        ...

    async def delete(self, name: str) -> bool:
        """Forgets a gateway; False: there is none."""
        ...


def protecting(gateways: Iterable[Gateway], ip: str) -> list[Gateway]:
    """Those of the gateways that protect the address."""
    return [each for each in gateways if each.protects(ip)]
