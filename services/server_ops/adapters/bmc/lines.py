"""The lines to BMCs: one worker a BMC, a bounded number of them, each given back when it rests."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from services.server_ops.adapters.bmc.limits import Limits
from services.server_ops.adapters.bmc.worker import Worker
from services.server_ops.bmc.endpoint import BmcEndpoint


class _Line:
    """A BMC that is in use: its worker, and who has it."""

    def __init__(self) -> None:
        self.worker = Worker()
        self.turn = asyncio.Lock()
        self.users = 0
        """Calls that have the worker or wait for it."""
        self.has_place = False
        self.next_time = 0.0
        """When the next call may begin, on the event loop's clock."""
        self.rest: asyncio.TimerHandle | None = None
        """Runs while the line is idle and nobody has told it yet to give its place up."""

    def wake(self) -> None:
        """It is idle no longer, or told to give its place up."""
        if self.rest is not None:
            self.rest.cancel()
            self.rest = None


class Lines:
    """Hands out workers."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._lines: dict[tuple[str, int], _Line] = {}
        self._places = asyncio.Semaphore(limits.workers)
        self._wanting = 0
        """Lines that wait for a place."""
        self._resting: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def turn(self, endpoint: BmcEndpoint) -> AsyncIterator[Worker]:
        """The BMC's worker, for this call alone, some time after the call before."""
        loop = asyncio.get_running_loop()
        key = (endpoint.address, endpoint.port)
        line = self._lines.setdefault(key, _Line())
        line.users += 1
        line.wake()
        try:
            async with line.turn:
                await self._take_place(line)
                await asyncio.sleep(max(0.0, line.next_time - loop.time()))
                try:
                    yield line.worker
                finally:
                    line.next_time = loop.time() + self._limits.spacing_seconds
        finally:
            line.users -= 1
            if not line.users:
                # With somebody waiting for the place, a rest would be at his cost.
                idle = 0.0 if self._wanting else self._limits.idle_seconds
                line.rest = loop.call_later(idle, self._let_rest, key, line)

    def worker_pids(self) -> list[int]:
        """Process ids of the workers that live."""
        pids = (line.worker.pid for line in self._lines.values())
        return [pid for pid in pids if pid is not None]

    async def close(self) -> None:
        """Logs out everywhere, when the calls that are under way are done."""
        while self._lines:
            for key, line in [*self._lines.items()]:
                self._let_rest(key, line, last=True)
            await asyncio.gather(*self._resting)

    async def _take_place(self, line: _Line) -> None:
        if line.has_place:
            return
        if self._places.locked():
            self._let_longest_idle_rest()
        self._wanting += 1
        try:
            await self._places.acquire()
        finally:
            self._wanting -= 1
        line.has_place = True

    def _let_longest_idle_rest(self) -> None:
        idle = [item for item in self._lines.items() if item[1].has_place and item[1].rest]
        if idle:
            self._let_rest(*min(idle, key=lambda item: item[1].next_time))

    def _let_rest(self, key: tuple[str, int], line: _Line, *, last: bool = False) -> None:
        line.wake()
        task = asyncio.get_running_loop().create_task(self._rest(key, line, last=last))
        self._resting.add(task)
        task.add_done_callback(self._resting.discard)

    async def _rest(self, key: tuple[str, int], line: _Line, *, last: bool) -> None:
        # In the line's own turn: who comes now waits for the logout, so that the BMC never has two
        # sessions of ours.
        async with line.turn:
            if line.users and not last:
                return
            try:
                await line.worker.log_out()
            finally:
                if line.has_place:
                    line.has_place = False
                    self._places.release()
                if not line.users and self._lines.get(key) is line:
                    del self._lines[key]
