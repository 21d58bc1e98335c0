"""Reading a server's BMC for its customer: from what is known, or afresh."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from cachetools import LRUCache
from f2h.access.v1.reason_pb2 import Reason

from services.runtime.clock import Clock
from services.runtime.errors import ApiError
from services.server_ops.bmc.contact import StageResult
from services.server_ops.bmc.driver import Bmc
from services.server_ops.bmc.endpoint import BmcEndpoint
from services.server_ops.bmc.errors import BmcError
from services.server_ops.bmc.event import LogCursor, LogPage
from services.server_ops.bmc.sensor import Sensor
from services.server_ops.inventory.server import Servers, bmc_of
from services.server_ops.ipmi.check import CheckBmc
from services.server_ops.ipmi.refusals import RETRY_SECONDS, refusal
from services.server_ops.ipmi.status import BmcStatus, BmcStatuses

SENSORS_AGE = timedelta(seconds=60)
WAIT_SECONDS = 12.0
"""How long a call waits for a slow BMC: less than the edge does."""
KEPT_SERVERS = 2000
"""Of so many servers the sensors are remembered."""


@dataclass(frozen=True)
class Readings:
    """The sensors of a server at one moment."""

    sensors: tuple[Sensor, ...]
    observe_time: datetime


class ReadIpmi:
    """Answers for the account that a server belongs to."""

    def __init__(
        self, servers: Servers, statuses: BmcStatuses, bmc: Bmc, check: CheckBmc, clock: Clock
    ) -> None:
        self._servers = servers
        self._statuses = statuses
        self._bmc = bmc
        self._check = check
        self._clock = clock
        self._readings: LRUCache[str, Readings] = LRUCache(KEPT_SERVERS)
        self._under_way: dict[str, asyncio.Task[Readings]] = {}
        self._turns: dict[str, asyncio.Lock] = {}

    async def status(self, hostname: str, account: str, max_age: timedelta | None) -> BmcStatus:
        """What is known of the BMC, no older than `max_age`; None: whatever is known.

        Raises ApiError(SERVER_NOT_GRANTED), and ApiError(DEADLINE_EXCEEDED) of a slow BMC.
        """
        asked = self._clock()
        await bmc_of(self._servers, hostname, account)
        status = await self._statuses.find(hostname)
        if status.check_time is None:
            max_age = timedelta(0)
        if max_age is None or _is_fresh(status.check_time, asked, max_age):
            return status
        async with _patience(hostname, "state"), self._turn(hostname):
            # Who waited for the same question of somebody else has the answer now.
            status = await self._statuses.find(hostname)
            if _is_fresh(status.check_time, asked, max_age):
                return status
            return await self._check(hostname)

    async def sensors(self, hostname: str, account: str, max_age: timedelta | None) -> Readings:
        """The sensors, no older than `max_age`; None: SENSORS_AGE.

        Raises ApiError: SERVER_NOT_GRANTED, BMC_UNREACHABLE, BMC_AUTH_FAILED, BMC_UNSUPPORTED,
        DEADLINE_EXCEEDED.
        """
        asked = self._clock()
        endpoint = await bmc_of(self._servers, hostname, account)
        kept = self._readings.get(hostname)
        limit = SENSORS_AGE if max_age is None else max_age
        if kept is not None and _is_fresh(kept.observe_time, asked, limit):
            return kept
        try:
            async with _patience(hostname, "sensors"):
                return await asyncio.shield(self._reading(hostname, endpoint))
        except BmcError as error:
            raise refusal(hostname, error) from None

    async def measure(self, hostname: str) -> tuple[Sensor, ...]:
        """The sensors, read afresh, for no caller. Raises BmcError, and LookupError: no server."""
        endpoint = await self._servers.bmc(hostname)
        if endpoint is None:
            raise LookupError(hostname)
        return (await asyncio.shield(self._reading(hostname, endpoint))).sensors

    def _reading(self, hostname: str, endpoint: BmcEndpoint) -> asyncio.Task[Readings]:
        """The one reading of a server that is under way.

        It goes on when nobody waits any more: then the next who asks has it.
        """
        reading = self._under_way.get(hostname)
        if reading is None:
            reading = asyncio.create_task(self._read_sensors(hostname, endpoint))
            self._under_way[hostname] = reading
            reading.add_done_callback(partial(self._over, hostname))
        return reading

    def _over(self, hostname: str, reading: asyncio.Task[Readings]) -> None:
        del self._under_way[hostname]
        if not reading.cancelled():
            # Looked at: when nobody waits any more, how it failed is nobody's concern.
            reading.exception()

    async def _read_sensors(self, hostname: str, endpoint: BmcEndpoint) -> Readings:
        sensors = await self._bmc.sensors(endpoint)
        made = self._readings[hostname] = Readings(sensors, self._clock())
        return made

    async def events(
        self, hostname: str, account: str, after: LogCursor | None, limit: int
    ) -> LogPage:
        """A page of the event log.

        Raises ApiError: SERVER_NOT_GRANTED, BMC_UNREACHABLE, BMC_AUTH_FAILED, BMC_UNSUPPORTED,
        EVENT_LOG_ERASED, DEADLINE_EXCEEDED.
        """
        endpoint = await bmc_of(self._servers, hostname, account)
        try:
            async with _patience(hostname, "event log"):
                return await self._bmc.events(endpoint, after, limit)
        except BmcError as error:
            raise refusal(hostname, error) from None

    async def test(self, hostname: str, account: str) -> tuple[StageResult, ...]:
        """Reaches the BMC anew. Raises ApiError: SERVER_NOT_GRANTED, CONSOLE_TAKEN."""
        endpoint = await bmc_of(self._servers, hostname, account)
        try:
            return await self._bmc.test(endpoint)
        except BmcError as error:
            raise refusal(hostname, error) from None

    @asynccontextmanager
    async def _turn(self, hostname: str) -> AsyncIterator[None]:
        """One reader of a server at a time: a hundred who ask at once are one question."""
        turn = self._turns.setdefault(hostname, asyncio.Lock())
        try:
            async with turn:
                yield
        finally:
            if not turn.locked():
                self._turns.pop(hostname, None)


@asynccontextmanager
async def _patience(hostname: str, what: str) -> AsyncIterator[None]:
    """Waits for a slow BMC for as long as a caller does. Raises ApiError(DEADLINE_EXCEEDED)."""
    try:
        async with asyncio.timeout(WAIT_SECONDS):
            yield
    except TimeoutError:
        text = f"The BMC of {hostname} takes long to tell its {what}. Ask again."
        raise ApiError(Reason.DEADLINE_EXCEEDED, text, retry_after_seconds=RETRY_SECONDS) from None


def _is_fresh(time: datetime | None, asked: datetime, max_age: timedelta) -> bool:
    return time is not None and time >= asked - max_age
