"""The mail gate: what blocks port 25 of addresses on a gateway."""

from collections.abc import Collection
from typing import Protocol

from services.security.gateways.gateway import Gateway


class GateFailed(Exception):  # noqa: N818 - it says what happened
    """A mail gate was asked in vain; the text is for a person.

    After a change it may or may not have been made.
    """


class MailGate(Protocol):
    """The mail gates of gateways. All of it raises GateFailed. Addresses are canonical."""

    async def blocked(self, gateway: Gateway) -> frozenset[str]:
        """Every address whose port 25 it blocks."""
        ...

    async def holds(self, gateway: Gateway, ip: str) -> bool:
        """Whether it blocks the port 25 of this address."""
        ...

    async def block(self, gateway: Gateway, ips: Collection[str]) -> None:
        """Blocks connections from all of the addresses to any port 25; blocked already is no error.

        All of it is done or nothing.
        """
        ...

    async def lift(self, gateway: Gateway, ips: Collection[str]) -> None:
        """Lifts the blocks of all of the addresses, or nothing; not blocked is no error."""
        ...
