"""An address of a server, the networks that addresses are in, and where both are kept."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import ip_address, ip_network
from typing import Protocol
from uuid import UUID

from services.server_ops.inventory.server import Server


class Role(StrEnum):
    """What an address is to its server."""

    PRIMARY = "PRIMARY"
    ADDITIONAL = "ADDITIONAL"
    FAILOVER = "FAILOVER"


@dataclass(frozen=True)
class Ip:
    """An address, and the server that has it now."""

    ip: str
    """In canonical form."""
    hostname: str
    account: str
    """The server's."""
    failover: bool = False
    """Whether it can be moved to another server."""
    moving: UUID | None = None
    """The operation that moves it, or did so last without it being known where to."""


@dataclass(frozen=True)
class Network:
    """A network."""

    name: str
    cidr: str
    """In canonical form."""
    gateway: str = ""
    """Empty: not known."""
    router: str = ""
    """Name of the router that routes its failover addresses; empty: none does."""


class NetworkKnown(Exception):  # noqa: N818 - it says what happened
    """The same addresses are in the network of this name."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


class MoveRefused(Exception):  # noqa: N818
    """An address cannot be moved now."""


class NotMovable(MoveRefused):
    """It is not a failover address."""


class AlreadyThere(MoveRefused):
    """The server has it already."""


class Moving(MoveRefused):
    """Another operation moves it."""

    def __init__(self, operation: UUID) -> None:
        super().__init__(operation)
        self.operation = operation


class Ips(Protocol):
    """Where it is kept which server has which address."""

    async def find(self, ip: str) -> Ip | None:
        """The address, given in canonical form; None: no server has it."""
        ...

    async def failover_of(self, hostname: str) -> list[Ip]:
        """The failover addresses that the server has, in order."""
        ...

    async def page(self, after: str, limit: int) -> list[Ip]:
        """Addresses in the order of their texts, those behind `after`, at most `limit`."""
        ...

    async def put_failover(self, ip: str, hostname: str) -> Ip:
        """Gives a failover address to a server.

        Raises AddressTaken when it is a server's own, Moving, and LookupError: no such server.
        """
        ...

    async def delete_failover(self, ip: str) -> bool:
        """Forgets a failover address; False: there is none. Raises Moving."""
        ...


class Networks(Protocol):
    """Where networks are kept."""

    async def all(self) -> list[Network]:
        """All of them, by name."""
        ...

    async def put(self, network: Network) -> None:
        """Keeps a network. Raises NetworkKnown, and LookupError: no such router."""
        ...

    async def delete(self, name: str) -> bool:
        """Forgets a network; False: there is none."""
        ...


def network_of(networks: Iterable[Network], ip: str) -> Network | None:
    """The smallest of the networks that holds the address."""
    address = ip_address(ip)
    holding = [each for each in networks if address in ip_network(each.cidr)]
    return max(holding, key=lambda each: ip_network(each.cidr).prefixlen, default=None)


def roles(server: Server) -> dict[str, Role]:
    """The server's own addresses, in order; the first of each family is its primary one."""
    seen: set[int] = set()
    found = {}
    for ip in server.ips:
        version = ip_address(ip).version
        found[ip] = Role.ADDITIONAL if version in seen else Role.PRIMARY
        seen.add(version)
    return found


def next_hop(server: Server, ip: str) -> str | None:
    """The server's primary address of the family of `ip`: where that is routed to."""
    version = ip_address(ip).version
    return next((own for own in server.ips if ip_address(own).version == version), None)
