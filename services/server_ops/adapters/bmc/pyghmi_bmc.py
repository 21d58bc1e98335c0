"""The BMC governor: one session a BMC, spaced commands, bounded workers, our own deadlines."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from services.server_ops.adapters.bmc import ipmi
from services.server_ops.adapters.bmc.worker import Late, Worker
from services.server_ops.bmc.command import ChassisCommand, CommandOutcome
from services.server_ops.bmc.endpoint import BmcEndpoint
from services.server_ops.bmc.errors import BmcUnreachable
from services.server_ops.bmc.observation import Observation, SelMark


@dataclass(frozen=True)
class Limits:
    """How BMCs are treated; times in seconds."""

    workers: int = 32
    """BMCs that are talked to at once; the next one waits."""
    idle_seconds: float = 20.0
    """A session that rests so long is given back. BMCs forget one after 60 s (section 6.12.15)."""
    spacing_seconds: float = 0.1
    """Between two calls to one BMC."""
    observe_seconds: float = 15.0
    login_seconds: float = 10.0
    """What sending may take before the command leaves."""
    answer_seconds: float = 5.0
    """How long the answer to a command is waited for."""


class _Owned:
    """A BMC that is in use: its worker, and who has it."""

    def __init__(self) -> None:
        self.worker = Worker()
        self.turn = asyncio.Lock()
        self.users = 0
        """Calls that have the worker or wait for it."""
        self.has_place = False
        self.next_time = 0.0
        """When the next command may be sent, on the event loop's clock."""
        self.rest: asyncio.TimerHandle | None = None


class PyghmiBmc:
    """Implements Bmc over IPMI 2.0."""

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._owned: dict[tuple[str, int], _Owned] = {}
        self._places = asyncio.Semaphore(self._limits.workers)
        self._resting: set[asyncio.Task[None]] = set()

    async def observe(self, endpoint: BmcEndpoint, since: SelMark | None = None) -> Observation:
        """See Bmc."""
        async with self._turn(endpoint) as worker:
            try:
                return await worker.call(
                    ipmi.observe, endpoint, since, seconds=self._limits.observe_seconds
                )
            except Late:
                raise BmcUnreachable from None

    async def send_once(self, endpoint: BmcEndpoint, command: ChassisCommand) -> CommandOutcome:
        """See Bmc."""
        limits = self._limits
        async with self._turn(endpoint) as worker:
            try:
                return await worker.call(
                    ipmi.send_once,
                    endpoint,
                    command,
                    limits.answer_seconds,
                    seconds=limits.login_seconds + limits.answer_seconds,
                )
            except Late:
                # It may have left before the worker became late.
                return CommandOutcome.UNKNOWN

    async def close(self) -> None:
        """See Bmc."""
        for key, owned in [*self._owned.items()]:
            self._start_resting(key, owned)
        await asyncio.gather(*self._resting)

    @asynccontextmanager
    async def _turn(self, endpoint: BmcEndpoint) -> AsyncIterator[Worker]:
        """The BMC's worker, for this call alone."""
        loop = asyncio.get_running_loop()
        key = (endpoint.address, endpoint.port)
        owned = self._owned.setdefault(key, _Owned())
        owned.users += 1
        if owned.rest is not None:
            owned.rest.cancel()
        try:
            async with owned.turn:
                if not owned.has_place:
                    self._make_room()
                    await self._places.acquire()
                    owned.has_place = True
                await asyncio.sleep(max(0.0, owned.next_time - loop.time()))
                try:
                    yield owned.worker
                finally:
                    owned.next_time = loop.time() + self._limits.spacing_seconds
        finally:
            owned.users -= 1
            if not owned.users:
                owned.rest = loop.call_later(
                    self._limits.idle_seconds, self._start_resting, key, owned
                )

    def _make_room(self) -> None:
        """When every place is taken, the BMC that rested longest gives its place up."""
        if self._places.locked():
            idle = [(o.next_time, key, o) for key, o in self._owned.items() if not o.users]
            if idle:
                _, key, owned = min(idle, key=lambda each: each[0])
                self._start_resting(key, owned)

    def _start_resting(self, key: tuple[str, int], owned: _Owned) -> None:
        if owned.rest is not None:
            owned.rest.cancel()
        # Whoever comes from now on gets a new worker; this one ends when its last call did.
        if self._owned.get(key) is owned and not owned.users:
            del self._owned[key]
        task = asyncio.create_task(self._rest(owned))
        self._resting.add(task)
        task.add_done_callback(self._resting.discard)

    async def _rest(self, owned: _Owned) -> None:
        async with owned.turn:
            await owned.worker.log_out()
            if owned.has_place:
                owned.has_place = False
                self._places.release()
