"""The BMC governor: one session a BMC, calls one after another and spaced, and our own deadlines.

A BMC has about four session slots, answers slowly, and falls over under load. So every call to one
goes through its line here, whoever makes it.
"""

import asyncio
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

from prometheus_client import CollectorRegistry

from services.server_ops.adapters.bmc.figures import BmcFigures
from services.server_ops.adapters.bmc.limits import Limits
from services.server_ops.adapters.bmc.worker import Exchange, Lost, Worker
from services.server_ops.bmc.boot import BootOverride
from services.server_ops.bmc.command import ChassisCommand, CommandOutcome
from services.server_ops.bmc.console import Console, Output
from services.server_ops.bmc.contact import Result, Stage, StageResult
from services.server_ops.bmc.endpoint import BmcEndpoint
from services.server_ops.bmc.errors import (
    BmcAuthFailed,
    BmcError,
    BmcUnreachable,
    ConsoleTaken,
    Trouble,
)
from services.server_ops.bmc.event import LogCursor, LogPage
from services.server_ops.bmc.identity import Identity
from services.server_ops.bmc.observation import Observation, PowerState, SelMark
from services.server_ops.bmc.ownership import Ownership, SoleOwner
from services.server_ops.bmc.sensor import Sensor

Refused = Callable[[BmcEndpoint], Awaitable[None]]


async def _nobody(_endpoint: BmcEndpoint) -> None:
    """Nobody wants to know."""


class _Line:
    """One BMC: whose turn it is, and how it did lately."""

    def __init__(self, endpoint: BmcEndpoint, worker: Worker) -> None:
        self.endpoint = endpoint
        self.worker = worker
        self.turn = asyncio.Lock()
        self.users = 0
        """Calls that have the turn or wait for it."""
        self.next_time = 0.0
        """When the next call may begin, on the event loop's clock."""
        self.failures = 0
        """Failed calls in a row."""
        self.failure: tuple[float, Trouble] | None = None
        """When the last call failed, on the event loop's clock, and why."""
        self.left_alone_until = 0.0
        self.refused: BmcEndpoint | None = None
        """The login that the BMC refused: it is never tried again."""
        self.console: _AttachedConsole | None = None
        """The serial console, while it is attached."""
        self.wanted = False
        """Whether another process waits for it."""
        self.rest: asyncio.TimerHandle | None = None

    def wake(self) -> None:
        """It rests no longer."""
        if self.rest is not None:
            self.rest.cancel()
            self.rest = None


class BmcGovernor:
    """Implements Bmc. Deadlines count from when it is a call's turn."""

    def __init__(
        self,
        limits: Limits | None = None,
        refused: Refused = _nobody,
        ownership: Ownership | None = None,
        *,
        trust: bool | str = True,
        figures: BmcFigures | None = None,
    ) -> None:
        """`refused` is told of a login that a BMC refuses. `trust`: see RedfishBmc."""
        self._figures = figures or BmcFigures(CollectorRegistry())
        self._limits = limits or Limits()
        self._refused = refused
        self._ownership = ownership or SoleOwner()
        self._workers = [Worker(trust) for _ in range(self._limits.workers)]
        self._lines: dict[tuple[str, int], _Line] = {}
        self._resting: set[asyncio.Task[None]] = set()

    async def power(self, endpoint: BmcEndpoint) -> PowerState:
        """See Bmc."""
        power: PowerState = await self._read(endpoint, "power", self._limits.power_seconds)
        return power

    async def observe(self, endpoint: BmcEndpoint, since: SelMark | None = None) -> Observation:
        """See Bmc. Asked of a BMC that is left alone too: an operation waits for it."""
        line = self._line(endpoint)
        async with self._turn(line, endpoint):
            seen: Observation = await self._call(
                line, endpoint, "observe", since, seconds=self._limits.observe_seconds
            )
            return seen

    async def send_once(self, endpoint: BmcEndpoint, command: ChassisCommand) -> CommandOutcome:
        """See Bmc."""
        limits = self._limits
        line = self._line(endpoint)
        async with self._turn(line, endpoint):
            await self._call(line, endpoint, "prepare", seconds=limits.login_seconds)
            answer = limits.answer_seconds
            # Its own time is `answer`; ended from outside, it would not say what is known.
            seconds = answer + limits.login_seconds
            try:
                with self._figures.called("send_once", command.name):
                    outcome: CommandOutcome = await line.worker.call(
                        endpoint, "send_once", command, answer, seconds=seconds
                    )
            except Lost:
                return CommandOutcome.UNKNOWN  # it may have left before
            return outcome

    async def set_boot(self, endpoint: BmcEndpoint, override: BootOverride) -> None:
        """See Bmc. An operation waits for it: asked of a BMC that is left alone too."""
        line = self._line(endpoint)
        async with self._turn(line, endpoint):
            seconds = self._limits.observe_seconds
            await self._call(line, endpoint, "set_boot", override, seconds=seconds)

    async def identify(self, endpoint: BmcEndpoint) -> Identity:
        """See Bmc."""
        identity: Identity = await self._read(endpoint, "identify", self._limits.observe_seconds)
        return identity

    async def sensors(self, endpoint: BmcEndpoint) -> tuple[Sensor, ...]:
        """See Bmc."""
        sensors: tuple[Sensor, ...] = await self._read_long(endpoint, "sensors")
        return sensors

    async def events(self, endpoint: BmcEndpoint, after: LogCursor | None, limit: int) -> LogPage:
        """See Bmc."""
        page: LogPage = await self._read_long(endpoint, "events", after, limit)
        return page

    async def test(self, endpoint: BmcEndpoint) -> tuple[StageResult, ...]:
        """See Bmc. Raises ConsoleTaken: it needs the session that the console has."""
        line = self._line(endpoint)
        if line.console is not None:
            raise ConsoleTaken
        seconds = self._limits.login_seconds
        try:
            async with self._turn(line, endpoint):
                results: tuple[StageResult, ...] = await self._call(
                    line, endpoint, "test", seconds, seconds=seconds
                )
        except BmcAuthFailed:
            detail = "the BMC refused this login before; it is not tried again until it is changed"
            return tuple(StageResult(stage, Result.SKIPPED, 0.0, detail) for stage in Stage)
        except BmcUnreachable:
            return (
                StageResult(Stage.PING, Result.FAILED, seconds, "the BMC does not answer"),
                StageResult(Stage.SESSION, Result.SKIPPED, 0.0),
                StageResult(Stage.PASSWORD, Result.SKIPPED, 0.0),
            )
        if any(each.stage is Stage.PASSWORD and each.wrong for each in results):
            await self._refuse(line, endpoint)
        return results

    @asynccontextmanager
    async def console(
        self, endpoint: BmcEndpoint, *, take_over: bool = False
    ) -> AsyncIterator[Console]:
        """See Bmc. Other calls go on meanwhile, on the same session."""
        line = self._line(endpoint)
        self._spare(line)
        if line.console is not None:
            if not take_over:
                raise ConsoleTaken
            line.console.take_away()
        console = line.console = _AttachedConsole()
        try:
            async with self._turn(line, endpoint), self._heeded(line, endpoint):
                console.refuse_when_taken()
                with self._figures.called("attach"):
                    exchange = await line.worker.exchange(
                        endpoint, "attach", take_over, seconds=self._limits.login_seconds
                    )
                    await console.attach(exchange)
            yield console
        finally:
            console.end()
            if line.console is console:
                line.console = None
            self._let_rest_later(line)

    async def let_go(self, key: tuple[str, int]) -> None:
        """Logs out of a BMC that another process wants, at once when it is idle.

        A serial console stays attached: it keeps its session, and the other process has another.
        """
        line = self._lines.get(key)
        if line is None:
            return
        line.wanted = True
        if not line.users:
            line.wake()
            self._let_rest(line)

    def worker_pids(self) -> list[int]:
        """Process ids of the workers that live."""
        return [worker.pid for worker in self._workers if worker.pid is not None]

    def known(self) -> int:
        """How many BMCs this process has talked to."""
        return len(self._lines)

    def failing(self) -> int:
        """How many of them failed the last time they were called."""
        return sum(line.failures > 0 for line in [*self._lines.values()])

    def waiting(self) -> int:
        """How many calls have the turn at a BMC, or wait for it."""
        return sum(line.users for line in [*self._lines.values()])

    def sessions(self) -> int:
        """How many BMCs are kept logged in to, or used just now."""
        lines = [*self._lines.values()]
        return sum(bool(line.users or line.rest or line.console) for line in lines)

    async def close(self) -> None:
        """See Bmc."""
        for line in self._lines.values():
            line.wake()
        await asyncio.gather(*self._resting)
        await asyncio.gather(*(worker.close() for worker in self._workers))
        for line in self._lines.values():
            await self._ownership.give_back(line.endpoint)

    async def _read(
        self, endpoint: BmcEndpoint, method: str, seconds: float, *arguments: Any
    ) -> Any:
        """A call that a BMC which does not answer is spared of."""
        line = self._line(endpoint)
        async with self._spared(line, endpoint):
            return await self._call(line, endpoint, method, *arguments, seconds=seconds)

    async def _read_long(self, endpoint: BmcEndpoint, method: str, *arguments: Any) -> Any:
        """As `_read`, for what may take long of a BMC that answers; of another it does not."""
        line = self._line(endpoint)
        async with self._spared(line, endpoint):
            limits = self._limits
            await self._call(line, endpoint, "prepare", seconds=limits.power_seconds)
            return await self._call(line, endpoint, method, *arguments, seconds=limits.read_seconds)

    async def _call(
        self, line: _Line, endpoint: BmcEndpoint, method: str, *arguments: Any, seconds: float
    ) -> Any:
        async with self._heeded(line, endpoint):
            with self._figures.called(method):
                return await line.worker.call(endpoint, method, *arguments, seconds=seconds)

    @asynccontextmanager
    async def _heeded(self, line: _Line, endpoint: BmcEndpoint) -> AsyncIterator[None]:
        """How a call ends is remembered of the BMC."""
        try:
            yield
        except Lost:
            self._failed(line, Trouble.NO_ANSWER)
            raise BmcUnreachable from None
        except BmcUnreachable as error:
            self._failed(line, error.trouble)
            raise
        except BmcAuthFailed:
            await self._refuse(line, endpoint)
            raise
        except BmcError:
            line.failures = 0  # it answered
            raise
        line.failures = 0

    def _line(self, endpoint: BmcEndpoint) -> _Line:
        key = (endpoint.address, endpoint.port)
        line = self._lines.get(key)
        if line is None:
            place = zlib.crc32(f"{endpoint.address} {endpoint.port}".encode())
            worker = self._workers[place % len(self._workers)]
            line = self._lines[key] = _Line(endpoint, worker)
        return line

    @asynccontextmanager
    async def _turn(self, line: _Line, endpoint: BmcEndpoint) -> AsyncIterator[None]:
        """The line for this call alone, some time after the call before."""
        loop = asyncio.get_running_loop()
        self._admit(line, endpoint)
        if line.users > self._limits.queue:
            raise BmcUnreachable(Trouble.TOO_MANY_CALLS, self._limits.back_off_seconds)
        line.users += 1
        line.wake()
        try:
            with self._figures.waited():
                await line.turn.acquire()
                try:
                    self._admit(line, endpoint)
                    line.endpoint = endpoint
                    await self._ownership.own(endpoint)
                    await asyncio.sleep(max(0.0, line.next_time - loop.time()))
                except BaseException:
                    line.turn.release()
                    raise
            try:
                yield
            finally:
                line.next_time = loop.time() + self._limits.spacing_seconds
                line.turn.release()
        finally:
            line.users -= 1
            self._let_rest_later(line)

    def _admit(self, line: _Line, endpoint: BmcEndpoint) -> None:
        if endpoint.refused or line.refused == endpoint:
            raise BmcAuthFailed

    def _spare(self, line: _Line) -> None:
        left = line.left_alone_until - asyncio.get_running_loop().time()
        if left > 0:
            raise BmcUnreachable(Trouble.BACKING_OFF, left)

    @asynccontextmanager
    async def _spared(self, line: _Line, endpoint: BmcEndpoint) -> AsyncIterator[None]:
        """The line, for who does not want to wait for a BMC that does not answer.

        What the call before found out while this one waited is this one's answer too.
        """
        asked = asyncio.get_running_loop().time()
        self._spare(line)
        async with self._turn(line, endpoint):
            if line.failure is not None and line.failure[0] > asked:
                raise BmcUnreachable(line.failure[1])
            yield

    def _failed(self, line: _Line, trouble: Trouble) -> None:
        limits = self._limits
        line.failures += 1
        line.failure = (asyncio.get_running_loop().time(), trouble)
        times = line.failures - limits.failures
        if times >= 0:
            # Then the next call goes through, as a try: it closes this again, or doubles it.
            pause = min(
                limits.back_off_seconds * 2.0 ** min(times, 30), limits.back_off_seconds_max
            )
            line.left_alone_until = asyncio.get_running_loop().time() + pause

    async def _refuse(self, line: _Line, endpoint: BmcEndpoint) -> None:
        if line.refused != endpoint:
            line.refused = endpoint
            await self._refused(endpoint)

    def _let_rest_later(self, line: _Line) -> None:
        if line.users or (line.console is not None and not line.wanted):
            return
        line.wake()
        loop = asyncio.get_running_loop()
        idle = 0.0 if line.wanted else self._limits.idle_seconds
        line.rest = loop.call_later(idle, self._let_rest, line)

    def _let_rest(self, line: _Line) -> None:
        line.rest = None
        task = asyncio.get_running_loop().create_task(self._rest(line))
        self._resting.add(task)
        task.add_done_callback(self._resting.discard)

    async def _rest(self, line: _Line) -> None:
        # In the line's own turn: who comes now waits for the logout, so that the BMC never has two
        # sessions of ours.
        async with line.turn:
            if line.users:
                return
            if line.worker.pid is not None and line.console is None:
                with suppress(Lost, BmcError):
                    seconds = self._limits.power_seconds
                    await line.worker.call(line.endpoint, "drop", seconds=seconds)
            line.wanted = False
            await self._ownership.give_back(line.endpoint)


class _AttachedConsole:
    """Implements Console."""

    def __init__(self) -> None:
        self._exchange: Exchange | None = None
        self._taken = False

    async def attach(self, exchange: Exchange) -> None:
        """Waits until it is attached. Raises BmcUnsupported, ConsoleTaken, BmcUnreachable, Lost."""
        self._exchange = exchange
        self.refuse_when_taken()
        if await exchange.next() is None:
            raise ConsoleTaken  # by somebody who came meanwhile

    def refuse_when_taken(self) -> None:
        """Raises ConsoleTaken when somebody took it who came meanwhile: he waits behind us."""
        if self._taken:
            raise ConsoleTaken

    async def next(self) -> Output | None:
        """See Console."""
        assert self._exchange is not None  # noqa: S101 - it is attached
        try:
            said = await self._exchange.next()
        except Lost:
            raise BmcUnreachable from None
        if said is not None:
            output: Output = said.value
            return output
        if self._taken:
            raise ConsoleTaken
        return None

    async def write(self, data: bytes) -> None:
        """See Console."""
        assert self._exchange is not None  # noqa: S101 - it is attached
        if data:
            await self._exchange.give(data)

    async def send_break(self) -> None:
        """See Console."""
        assert self._exchange is not None  # noqa: S101 - it is attached
        await self._exchange.give(None)

    def take_away(self) -> None:
        """Ends it for whoever has it. The worker detaches it before it attaches the next."""
        self._taken = True
        self.end()

    def end(self) -> None:
        """Ends it."""
        if self._exchange is not None:
            self._exchange.end()
