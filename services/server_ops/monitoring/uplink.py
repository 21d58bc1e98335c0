"""The port of a switch that a server is connected to, where its traffic is counted."""

from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True)
class SnmpLogin:
    """How a switch lets us read: a community (SNMPv2c), or a user with passphrases (SNMPv3)."""

    community: str = ""
    user: str = ""
    auth_passphrase: str = ""
    privacy_passphrase: str = ""


@dataclass(frozen=True)
class Uplink:
    """The port of a switch."""

    switch_address: str
    switch_port: int
    """UDP port of its SNMP agent."""
    interface: int
    """ifIndex (RFC 2863)."""
    login: SnmpLogin = field(repr=False)


class Uplinks(Protocol):
    """Where it is kept how servers are connected."""

    async def find(self, hostname: str) -> Uplink | None:
        """The server's uplink, its login in the clear; None: it is not known."""
        ...

    async def put(self, hostname: str, uplink: Uplink) -> None:
        """Keeps the server's uplink. Raises LookupError: no such server."""
        ...

    async def delete(self, hostname: str) -> bool:
        """Forgets the server's uplink; False: there is none."""
        ...
