"""The routers that send failover addresses to servers."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Router:
    """A router, and how it is reached."""

    name: str
    address: str
    port: int
    """TCP port of its SSH server."""
    user: str
    host_key: str
    """The one key that it may show, as OpenSSH writes public keys."""


class RouterError(Exception):
    """A router did not do what it was asked: certainly not. The text is for a customer."""


class RouterSilent(RouterError):  # noqa: N818 - it says what happened
    """A router was asked and its answer is not known: it may or may not have done it."""


class RouterInUse(Exception):  # noqa: N818 - it says what happened
    """A network names the router."""

    def __init__(self, network: str) -> None:
        super().__init__(network)
        self.network = network


class Routers(Protocol):
    """Where routers are kept."""

    async def find(self, name: str) -> Router | None:
        """The router of this name."""
        ...

    async def all(self) -> list[Router]:
        """All of them, by name."""
        ...

    async def put(self, router: Router) -> None:
        """Keeps a router."""
        ...

    async def delete(self, name: str) -> bool:
        """Forgets a router; False: there is none. Raises RouterInUse."""
        ...


class Routing(Protocol):
    """What routers are asked, in canonical addresses."""

    async def next_hop(self, router: Router, ip: str) -> str | None:
        """Where the router sends what is for the address alone; None: it has no such route.

        Raises RouterError.
        """
        ...

    async def route(self, router: Router, ip: str, next_hop: str) -> None:
        """Lets the router send what is for the address to `next_hop`, in place of where it did.

        A second time changes nothing. Raises RouterError and RouterSilent.
        """
        ...
