"""Measuring every server once a minute, spread over it: a silent one holds up nobody."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Protocol

import structlog

from services.runtime.clock import Clock
from services.server_ops.bmc.errors import BmcError
from services.server_ops.bmc.observation import PowerState
from services.server_ops.bmc.sensor import Sensor
from services.server_ops.inventory.server import Servers
from services.server_ops.ipmi.status import BmcStatuses
from services.server_ops.monitoring.series import ICMP, POWER, TCP, Sample, of_sensors
from services.server_ops.monitoring.store import Measurements, Round
from services.server_ops.monitoring.traffic import MeasureTraffic

POWER_AGE = timedelta(seconds=150)
"""A power state that was seen longer ago says nothing of now: it is seen about once a minute."""

ROUND_SECONDS = 55.0
"""What is not measured by then is not of this round."""

log = structlog.get_logger()


class Reach(Protocol):
    """Whether an address can be reached, from here."""

    async def icmp(self, address: str) -> bool | None:
        """Whether it answers ICMP echo; None: that cannot be tried here."""
        ...

    async def tcp(self, address: str) -> bool | None:
        """Whether it accepts a TCP connection; None: that is not tried."""
        ...


class Collect:
    """Measures the servers whose round is due, so many at once."""

    def __init__(
        self,
        servers: Servers,
        statuses: BmcStatuses,
        measurements: Measurements,
        *,
        sensors: Callable[[str], Awaitable[tuple[Sensor, ...]]],
        reach: Reach,
        traffic: MeasureTraffic,
        clock: Clock,
        at_once: int,
    ) -> None:
        """`sensors` reads those of a server and raises BmcError."""
        self._servers = servers
        self._statuses = statuses
        self._measurements = measurements
        self._sensors = sensors
        self._reach = reach
        self._traffic = traffic
        self._clock = clock
        self._at_once = at_once
        self._under_way: set[asyncio.Task[None]] = set()
        self._done: list[Round] = []
        self.measured = 0
        """How many rounds were kept since the process began."""
        self.missed = 0
        """How many rounds were due and are not kept: for want of time, or because they failed."""

    async def __call__(self) -> None:
        """Keeps what was measured, and begins what is due."""
        await self._keep()
        free = self._at_once - len(self._under_way)
        if free <= 0:
            return
        claimed = await self._measurements.claim_due(self._clock(), free)
        self.missed += claimed.missed
        for hostname in claimed.hostnames:
            task = asyncio.create_task(self._one(hostname))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)

    async def close(self) -> None:
        """Ends what is under way."""
        for task in [*self._under_way]:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)

    async def _keep(self) -> None:
        done, self._done = self._done, []
        if not done:
            return
        try:
            await self._measurements.append(done)
        except Exception:
            self.missed += len(done)
            raise
        self.measured += len(done)

    async def _one(self, hostname: str) -> None:
        try:
            async with asyncio.timeout(ROUND_SECONDS):
                self._done.append(await self._measure(hostname))
        except LookupError:
            return  # the server was removed meanwhile
        except TimeoutError:
            self.missed += 1
        except Exception:
            self.missed += 1
            log.exception("round failed", server=hostname)

    async def _measure(self, hostname: str) -> Round:
        view = await self._servers.find(hostname)
        if view is None:
            raise LookupError(hostname)
        now = self._clock()
        (sensors, seconds), icmp, tcp, traffic = await asyncio.gather(
            self._read(hostname),
            self._reach.icmp(view.server.ips[0]),
            self._reach.tcp(view.server.ips[0]),
            self._traffic(hostname),
        )
        power = await self._power(hostname)
        values = {**of_sensors(sensors or ()), **traffic}
        for name, seen in ((POWER, _ON.get(power)), (ICMP, icmp), (TCP, tcp)):
            if seen is not None:
                values[name] = float(seen)
        return Round(hostname, Sample(now, values), sensors, power, seconds)

    async def _read(self, hostname: str) -> tuple[tuple[Sensor, ...] | None, float]:
        begin = time.monotonic()
        try:
            sensors = await self._sensors(hostname)
        except BmcError:
            return None, time.monotonic() - begin
        return sensors, time.monotonic() - begin

    async def _power(self, hostname: str) -> PowerState:
        status = await self._statuses.find(hostname)
        if status.contact_time is None or self._clock() - status.contact_time > POWER_AGE:
            return PowerState.UNKNOWN
        return status.power


_ON = {PowerState.ON: True, PowerState.OFF: False}
