"""A server, and where servers are kept."""

from dataclasses import dataclass, field
from datetime import datetime
from ipaddress import ip_address
from typing import Protocol as TypingProtocol

from f2h.access.v1.reason_pb2 import Reason

from services.runtime.call import server_not_granted
from services.runtime.errors import ApiError
from services.server_ops.bmc.endpoint import BmcEndpoint, Protocol
from services.server_ops.bmc.observation import PowerState
from services.server_ops.netboot.netboot import Netboot

BUSY_RETRY_SECONDS = 5.0
"""After how long it is worth asking again for a server that was busy."""


@dataclass(frozen=True)
class Server:
    """A dedicated server as it is registered."""

    hostname: str
    account: str
    """The customer account that it belongs to."""
    ips: tuple[str, ...]
    """IPv4 and IPv6 addresses in canonical form, the primary one first."""
    datacenter: str
    mac: str
    """MAC address of the boot interface, lower case with colons."""
    bmc_protocol: Protocol
    bmc_address: str
    bmc_port: int
    """UDP port of RMCP+, or TCP port of HTTPS."""
    create_time: datetime
    uuid: str = ""
    """SMBIOS system UUID, lower case; empty: not known."""
    uefi: bool = False
    """Whether its firmware boots by UEFI; else as a BIOS."""


@dataclass(frozen=True)
class ServerView:
    """A server, the operation that holds it, what it boots, and whether it has power."""

    server: Server
    current_operation: str
    """Id of the operation; empty when none holds the server."""
    netboot: Netboot = field(default_factory=Netboot)
    power: PowerState = PowerState.UNKNOWN
    power_time: datetime | None = None
    """When the BMC said so; None: it never answered."""


class AddressTaken(Exception):  # noqa: N818 - it says what happened
    """An IP address belongs to another server already."""

    def __init__(self, ip: str) -> None:
        super().__init__(ip)
        self.ip = ip


class ServerBusy(Exception):  # noqa: N818
    """An operation holds the server."""

    def __init__(self, operation: str) -> None:
        super().__init__(operation)
        self.operation = operation


class Servers(TypingProtocol):
    """Where servers are kept."""

    async def find(self, hostname: str) -> ServerView | None:
        """The server with this hostname."""
        ...

    async def page(
        self, *, account: str, hostnames: frozenset[str] | None, after: str, limit: int
    ) -> list[ServerView]:
        """Servers by hostname, those behind `after`, at most `limit`.

        Only the account's, or everybody's when `account` is empty; only the given hostnames, or
        all when None.
        """
        ...

    async def owned(self, account: str, hostnames: list[str]) -> list[str]:
        """Those of the hostnames that belong to the account."""
        ...

    async def count(self, account: str) -> int:
        """How many servers the account has."""
        ...

    async def bmc(self, hostname: str) -> BmcEndpoint | None:
        """How the server's BMC is reached, its credentials in the clear."""
        ...

    async def bmc_refused(self, endpoint: BmcEndpoint) -> None:
        """Remembers that the BMC refused this login: `bmc` says so until it is registered anew."""
        ...

    async def put(self, server: Server, username: bytes, password: bytes) -> Server:
        """Registers a server or replaces it, keeping its create_time. Raises AddressTaken."""
        ...

    async def delete(self, hostname: str) -> bool:
        """Removes a server; False when there is none. Raises ServerBusy."""
        ...


def canonical_ip(text: str) -> str:
    """An IP address in the one form that it is kept and compared in."""
    return str(ip_address(text))


def server_busy(hostname: str, operation: str, doing: str = "") -> ApiError:
    """That an operation holds a server; `doing` says what it does."""
    return ApiError(
        Reason.SERVER_BUSY,
        f"{hostname} is held by {operation}{doing}.",
        metadata={"server": hostname, "operation": operation},
        retry_after_seconds=BUSY_RETRY_SECONDS,
    )


async def view_of(servers: Servers, hostname: str, account: str) -> ServerView:
    """A server of the account. Raises ApiError(SERVER_NOT_GRANTED)."""
    view = await servers.find(hostname)
    if view is None or view.server.account != account:
        raise server_not_granted(hostname)
    return view


async def bmc_of(servers: Servers, hostname: str, account: str) -> BmcEndpoint:
    """The BMC of a server of the account. Raises ApiError(SERVER_NOT_GRANTED)."""
    await view_of(servers, hostname, account)
    endpoint = await servers.bmc(hostname)
    if endpoint is None:
        raise server_not_granted(hostname)
    return endpoint
