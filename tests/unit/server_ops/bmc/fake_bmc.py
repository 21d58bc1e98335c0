"""A BMC driver without BMCs: machines in memory, and knobs for what goes wrong."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum, auto

from services.server_ops.bmc.boot import BootDevice, BootOverride
from services.server_ops.bmc.command import ChassisCommand, CommandOutcome
from services.server_ops.bmc.console import Console, Output
from services.server_ops.bmc.contact import Result, Stage, StageResult
from services.server_ops.bmc.endpoint import BmcEndpoint
from services.server_ops.bmc.errors import (
    BmcAuthFailed,
    BmcRefused,
    BmcUnreachable,
    ConsoleTaken,
    LogErased,
)
from services.server_ops.bmc.event import LogCursor, LogEvent, LogPage
from services.server_ops.bmc.identity import Feature, Identity
from services.server_ops.bmc.observation import Observation, PowerState, RestartEvent, SelMark
from services.server_ops.bmc.sensor import Sensor

SYSTEM_BOOT = 0x1D  # IPMI 2.0 table 42-3

_POWER = {
    ChassisCommand.POWER_OFF: PowerState.OFF,
    ChassisCommand.SOFT_SHUTDOWN: PowerState.OFF,
    ChassisCommand.POWER_ON: PowerState.ON,
}

IDENTITY = Identity("1.02", "674", "256", "2.0", "", frozenset(Feature))


class Trouble(Enum):
    """What goes wrong with the next commands."""

    NONE = auto()
    SILENT = auto()
    """Nothing is answered, to looks neither."""
    LOSES_REQUEST = auto()
    """The command does not arrive."""
    LOSES_REPLY = auto()
    """The command is executed, and the answer is lost."""
    REFUSES = auto()
    """The command is answered with `completion_code`, and not executed."""


@dataclass
class FakeMachine:
    """One machine and its BMC."""

    endpoint: BmcEndpoint
    power: PowerState = PowerState.ON
    trouble: Trouble = Trouble.NONE
    completion_code: int = 0xD5
    restarts_visibly: bool = True
    heeds_the_system: bool = True
    """Whether its operating system shuts down when it is asked to."""
    goes_off_after_looks: int = 0
    """It switches off by itself after so many looks; 0: it does not."""
    boot: str = ""
    """What it was told to boot: "pxe", "disk"; empty: nothing."""
    executed: list[ChassisCommand] = field(default_factory=list)
    starts: list[RestartEvent] = field(default_factory=list)
    identity: Identity = IDENTITY
    sensors: tuple[Sensor, ...] = ()
    log: list[LogEvent] = field(default_factory=list)

    def execute(self, command: ChassisCommand) -> None:
        self.executed.append(command)
        if command is ChassisCommand.SOFT_SHUTDOWN and not self.heeds_the_system:
            return
        was, self.power = self.power, _POWER.get(command, self.power)
        started = command in {ChassisCommand.HARD_RESET, ChassisCommand.POWER_CYCLE}
        if (started or was != self.power) and self.power == PowerState.ON:
            self.start()

    def start(self) -> None:
        """The machine starts, and its firmware records it."""
        if self.restarts_visibly:
            number = len(self.starts) + 1
            self.starts.append(RestartEvent(number, SYSTEM_BOOT, timestamp=number))


class FakeConsole:
    """Implements Console: says what is typed."""

    def __init__(self) -> None:
        self.said: asyncio.Queue[Output | ConsoleTaken | None] = asyncio.Queue()

    async def next(self) -> Output | None:
        said = await self.said.get()
        if isinstance(said, ConsoleTaken):
            raise said
        return said

    async def write(self, data: bytes) -> None:
        await self.said.put(Output(data))

    async def send_break(self) -> None:
        await self.said.put(None)


class FakeBmc:
    """Implements Bmc."""

    def __init__(self, *machines: FakeMachine) -> None:
        self._machines = {(m.endpoint.address, m.endpoint.port): m for m in machines}
        self._turns: dict[tuple[str, int], asyncio.Lock] = {}
        self.before_send: Callable[[], None] = lambda: None
        """Called when a command is about to leave."""
        self.closed = False
        self.attached: FakeConsole | None = None

    async def observe(self, endpoint: BmcEndpoint, since: SelMark | None = None) -> Observation:
        async with self._turn(endpoint):
            machine = self._login(endpoint)
            if machine.goes_off_after_looks:
                machine.goes_off_after_looks -= 1
                if not machine.goes_off_after_looks:
                    machine.power = PowerState.OFF
            count = len(machine.starts)
            mark = SelMark(count or None, 0)
            events = machine.starts[since.last_record or 0 :] if since else []
            return Observation(machine.power, None, mark, tuple(events))

    async def send_once(self, endpoint: BmcEndpoint, command: ChassisCommand) -> CommandOutcome:
        async with self._turn(endpoint):
            machine = self._login(endpoint)
            self.before_send()
            if machine.trouble is Trouble.REFUSES:
                raise BmcRefused(machine.completion_code)
            if machine.trouble is Trouble.LOSES_REQUEST:
                return CommandOutcome.UNKNOWN
            machine.execute(command)
            if machine.trouble is Trouble.LOSES_REPLY:
                return CommandOutcome.UNKNOWN
            return CommandOutcome.ACKNOWLEDGED

    async def power(self, endpoint: BmcEndpoint) -> PowerState:
        return (await self.observe(endpoint)).power

    async def set_boot(self, endpoint: BmcEndpoint, override: BootOverride) -> None:
        async with self._turn(endpoint):
            devices = {BootDevice.NETWORK: "pxe", BootDevice.DISK: "disk"}
            self._login(endpoint).boot = devices[override.device]

    async def identify(self, endpoint: BmcEndpoint) -> Identity:
        async with self._turn(endpoint):
            return self._login(endpoint).identity

    async def sensors(self, endpoint: BmcEndpoint) -> tuple[Sensor, ...]:
        async with self._turn(endpoint):
            return self._login(endpoint).sensors

    async def events(self, endpoint: BmcEndpoint, after: LogCursor | None, limit: int) -> LogPage:
        async with self._turn(endpoint):
            log = self._login(endpoint).log
            begin = after.record if after else 0
            if after and after.erased:
                raise LogErased
            following = LogCursor(begin + limit, 0) if begin + limit < len(log) else None
            return LogPage(tuple(log[begin : begin + limit]), following, len(log), 0.0)

    async def test(self, endpoint: BmcEndpoint) -> tuple[StageResult, ...]:
        try:
            async with self._turn(endpoint):
                self._login(endpoint)
        except (BmcUnreachable, BmcAuthFailed):
            return tuple(StageResult(stage, Result.FAILED, 0.1) for stage in Stage)
        return tuple(StageResult(stage, Result.PASSED, 0.1) for stage in Stage)

    @asynccontextmanager
    async def console(
        self, endpoint: BmcEndpoint, *, take_over: bool = False
    ) -> AsyncIterator[Console]:
        self._login(endpoint)
        if self.attached is not None:
            if not take_over:
                raise ConsoleTaken
            self.attached.said.put_nowait(ConsoleTaken())
        console = self.attached = FakeConsole()
        try:
            yield console
        finally:
            if self.attached is console:
                self.attached = None

    async def close(self) -> None:
        self.closed = True

    def _turn(self, endpoint: BmcEndpoint) -> asyncio.Lock:
        return self._turns.setdefault((endpoint.address, endpoint.port), asyncio.Lock())

    def _login(self, endpoint: BmcEndpoint) -> FakeMachine:
        machine = self._machines.get((endpoint.address, endpoint.port))
        if machine is None or machine.trouble is Trouble.SILENT:
            raise BmcUnreachable
        if machine.endpoint != endpoint:
            raise BmcAuthFailed
        return machine
