"""Power drift: every BMC is asked again and again, spread over time, and never told anything."""

import asyncio
from datetime import timedelta

import structlog

from services.runtime.clock import Clock
from services.server_ops.ipmi.check import CheckBmc
from services.server_ops.ipmi.status import BmcStatuses

log = structlog.get_logger()


class SyncPower:
    """Checks the BMCs whose time has come, so many at once."""

    def __init__(
        self,
        statuses: BmcStatuses,
        check: CheckBmc,
        *,
        clock: Clock,
        interval: timedelta,
        at_once: int,
    ) -> None:
        """`interval` is between two checks of one BMC."""
        self._statuses = statuses
        self._check = check
        self._clock = clock
        self._interval = interval
        self._at_once = at_once
        self._checks: set[asyncio.Task[None]] = set()

    async def __call__(self) -> None:
        """Begins the checks that are due and waits for none: a silent BMC holds up nobody."""
        free = self._at_once - len(self._checks)
        if free <= 0:
            return
        for hostname in await self._statuses.claim_due(self._clock(), self._interval, free):
            task = asyncio.create_task(self._one(hostname))
            self._checks.add(task)
            task.add_done_callback(self._checks.discard)

    async def close(self) -> None:
        """Ends the checks that are under way."""
        for task in [*self._checks]:
            task.cancel()
        await asyncio.gather(*self._checks, return_exceptions=True)

    async def _one(self, hostname: str) -> None:
        try:
            await self._check(hostname)
        except Exception:
            log.exception("check failed", server=hostname)
