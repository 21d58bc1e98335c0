"""The Protocol that every BMC driver implements, and whose contract one test suite checks."""

from contextlib import AbstractAsyncContextManager
from typing import Protocol

from services.server_ops.bmc.boot import BootOverride
from services.server_ops.bmc.command import ChassisCommand, CommandOutcome
from services.server_ops.bmc.console import Console
from services.server_ops.bmc.contact import StageResult
from services.server_ops.bmc.endpoint import BmcEndpoint
from services.server_ops.bmc.event import LogCursor, LogPage
from services.server_ops.bmc.identity import Identity
from services.server_ops.bmc.observation import Observation, PowerState, SelMark
from services.server_ops.bmc.sensor import Sensor


class Bmc(Protocol):
    """Talks to BMCs. Calls to one BMC wait for one another; calls to others do not.

    Every call raises BmcUnreachable and BmcAuthFailed, within the driver's own deadline.
    """

    async def power(self, endpoint: BmcEndpoint) -> PowerState:
        """Whether the machine has power: the cheapest look there is."""
        ...

    async def observe(self, endpoint: BmcEndpoint, since: SelMark | None = None) -> Observation:
        """Looks at the machine; with restart events behind `since`."""
        ...

    async def send_once(self, endpoint: BmcEndpoint, command: ChassisCommand) -> CommandOutcome:
        """Sends a chassis command in one message, never a second time, whatever is lost.

        Raises BmcRefused when the BMC answers that it did not do it, and BmcUnreachable or
        BmcAuthFailed only when the command cannot have left.
        """
        ...

    async def set_boot(self, endpoint: BmcEndpoint, override: BootOverride) -> None:
        """Sets what the machine boots. May be done again and again: only the last one counts.

        Raises BmcRefused and BmcUnsupported.
        """
        ...

    async def identify(self, endpoint: BmcEndpoint) -> Identity:
        """What the BMC is, and what it is seen to have."""
        ...

    async def sensors(self, endpoint: BmcEndpoint) -> tuple[Sensor, ...]:
        """Every sensor that can be read. Raises BmcUnsupported."""
        ...

    async def events(self, endpoint: BmcEndpoint, after: LogCursor | None, limit: int) -> LogPage:
        """Records of the event log, from the oldest or from a cursor on, `limit` at most.

        Raises BmcUnsupported and LogErased.
        """
        ...

    async def test(self, endpoint: BmcEndpoint) -> tuple[StageResult, ...]:
        """Reaches the BMC anew, stage by stage. Raises nothing of what it finds."""
        ...

    def console(
        self, endpoint: BmcEndpoint, *, take_over: bool = False
    ) -> AbstractAsyncContextManager[Console]:
        """Attaches the serial console, and detaches it at the end.

        With `take_over` it is taken from whoever has it. Raises BmcUnsupported, and ConsoleTaken.
        """
        ...

    async def close(self) -> None:
        """Logs out everywhere."""
        ...
