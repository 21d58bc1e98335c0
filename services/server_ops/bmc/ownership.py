"""Which process talks to a BMC: one at a time, of however many share the fleet."""

from typing import Protocol

from services.server_ops.bmc.endpoint import BmcEndpoint


class Ownership(Protocol):
    """Says whose a BMC is."""

    async def own(self, endpoint: BmcEndpoint) -> None:
        """Makes the BMC ours, for this moment and until it is given back or lost.

        Raises BmcUnreachable(OWNED_ELSEWHERE) when another process does not let go in time.
        """
        ...

    async def give_back(self, endpoint: BmcEndpoint) -> None:
        """Lets go of the BMC: no session with it is left."""
        ...


class SoleOwner:
    """Implements Ownership for a process that shares the fleet with nobody."""

    async def own(self, endpoint: BmcEndpoint) -> None:
        """Every BMC is ours."""

    async def give_back(self, endpoint: BmcEndpoint) -> None:
        """It stays ours."""
