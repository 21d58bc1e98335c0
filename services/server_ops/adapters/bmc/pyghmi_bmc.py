"""The BMC governor: one session a BMC, spaced calls, bounded workers, our own deadlines."""

from services.server_ops.adapters.bmc import ipmi
from services.server_ops.adapters.bmc.limits import Limits
from services.server_ops.adapters.bmc.lines import Lines
from services.server_ops.adapters.bmc.worker import Lost
from services.server_ops.bmc.command import ChassisCommand, CommandOutcome
from services.server_ops.bmc.endpoint import BmcEndpoint
from services.server_ops.bmc.errors import BmcUnreachable
from services.server_ops.bmc.observation import Observation, SelMark

__all__ = ["Limits", "PyghmiBmc"]

_MARGIN_SECONDS = 1.0
"""A worker that has waited for an answer has so long to say so."""


class PyghmiBmc:
    """Implements Bmc over IPMI 2.0.

    Deadlines count from when it is a call's turn: calls to one BMC wait for one another, and a BMC
    waits for a worker while `Limits.workers` others have one.
    """

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._lines = Lines(self._limits)

    async def observe(self, endpoint: BmcEndpoint, since: SelMark | None = None) -> Observation:
        """See Bmc."""
        async with self._lines.turn(endpoint) as worker:
            try:
                return await worker.call(
                    ipmi.observe, endpoint, since, seconds=self._limits.observe_seconds
                )
            except Lost:
                raise BmcUnreachable from None

    async def send_once(self, endpoint: BmcEndpoint, command: ChassisCommand) -> CommandOutcome:
        """See Bmc."""
        limits = self._limits
        async with self._lines.turn(endpoint) as worker:
            try:
                await worker.call(ipmi.prepare, endpoint, seconds=limits.login_seconds)
            except Lost:
                raise BmcUnreachable from None  # only reading commands left
            answer = limits.answer_seconds
            try:
                return await worker.call(
                    ipmi.send_once, endpoint, command, answer, seconds=answer + _MARGIN_SECONDS
                )
            except Lost:
                return CommandOutcome.UNKNOWN  # it may have left before

    def worker_pids(self) -> list[int]:
        """Process ids of the workers that live."""
        return self._lines.worker_pids()

    async def close(self) -> None:
        """See Bmc."""
        await self._lines.close()
