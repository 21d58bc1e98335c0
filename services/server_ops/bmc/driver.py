"""The Protocol that every BMC driver implements, and whose contract one test suite checks."""

from typing import Protocol

from services.server_ops.bmc.command import ChassisCommand, CommandOutcome
from services.server_ops.bmc.endpoint import BmcEndpoint
from services.server_ops.bmc.observation import Observation, SelMark


class Bmc(Protocol):
    """Talks to BMCs. Calls to one BMC wait for one another; calls to others do not."""

    async def observe(self, endpoint: BmcEndpoint, since: SelMark | None = None) -> Observation:
        """Looks at the machine; with restart events behind `since`.

        Raises BmcUnreachable and BmcAuthFailed, within the driver's own deadline.
        """
        ...

    async def send_once(self, endpoint: BmcEndpoint, command: ChassisCommand) -> CommandOutcome:
        """Sends a chassis command in one datagram, never a second time, whatever is lost.

        Raises BmcRefused when the BMC answers that it did not do it, and BmcUnreachable or
        BmcAuthFailed only when the command cannot have left.
        """
        ...

    async def close(self) -> None:
        """Logs out everywhere."""
        ...
