"""A server as security knows it: asked when a call is made, and never kept."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Protocol

from f2h.access.v1.reason_pb2 import Reason

from services.runtime.call import Caller, server_not_granted
from services.runtime.errors import ApiError, invalid


@dataclass(frozen=True)
class Located:
    """A server, whose it is, and its addresses now."""

    hostname: str
    account: str
    ips: tuple[str, ...]
    """In canonical form, failover addresses included."""


@dataclass(frozen=True)
class LocatedIp:
    """An address, and whose it is now."""

    ip: str
    """In canonical form."""
    hostname: str
    account: str


class Inventory(Protocol):
    """Where servers are known. All of it raises ApiError(DEPENDENCY_UNAVAILABLE)."""

    async def server(self, hostname: str) -> Located | None:
        """The server of this name."""
        ...

    async def with_ip(self, ip: str) -> Located | None:
        """The server that has the address, given in canonical form."""
        ...

    def addresses(self) -> AsyncIterator[LocatedIp]:
        """Every address that a server has."""
        ...


def canonical_ip(text: str, field: str = "ip") -> str:
    """An IP address in the one form that it is kept and compared in.

    An IPv4 address that came as ::ffff:a.b.c.d is that IPv4 address. Raises ApiError for an address
    with a zone, as in "fe80::1%eth0", naming the `field`.
    """
    address = ip_address(text)
    if getattr(address, "scope_id", None) is not None:
        raise invalid(field, "must be an address without a zone")
    return str(getattr(address, "ipv4_mapped", None) or address)


async def server_of(inventory: Inventory, hostname: str, caller: Caller) -> Located:
    """The caller's server of this name. Raises ApiError(SERVER_NOT_GRANTED)."""
    located = await inventory.server(hostname)
    if located is None or located.account != caller.account or not caller.may_act_on(hostname):
        raise server_not_granted(hostname)
    return located


async def server_with(inventory: Inventory, ip: str, caller: Caller) -> Located:
    """The caller's server that has the address now. Raises ApiError(SERVER_NOT_GRANTED)."""
    located = await inventory.with_ip(ip)
    if (
        located is None
        or located.account != caller.account
        or not caller.may_act_on(located.hostname)
    ):
        text = f"This caller may not act on {ip}: no server that is granted to it has this address."
        raise ApiError(Reason.SERVER_NOT_GRANTED, text, metadata={"ip": ip})
    return located
