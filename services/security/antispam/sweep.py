"""Looks every managed address up at Spamhaus, again and again, spread over time."""

import asyncio
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

import structlog
from f2h.access.v1.reason_pb2 import Reason

from services.runtime.clock import Clock
from services.runtime.errors import ApiError
from services.security.antispam.listing import Blocklist, LookUp, SpamhausList
from services.security.antispam.publish import Publish
from services.security.inventory.located import Inventory

REFRESH = timedelta(minutes=5)
"""How often the inventory is asked which addresses there are."""

REFRESH_AGAIN = timedelta(seconds=30)
"""The same when it did not answer."""

AT_A_TIME = 500
"""So many addresses are looked up before what came of it is kept."""

log = structlog.get_logger()


@dataclass(frozen=True)
class Swept:
    """An address that is looked up again and again."""

    ip: str
    lists: tuple[str, ...]
    """The lists that it was on when that was known last, sorted."""


class LookUps(Protocol):
    """Where it is kept what the sweep found."""

    async def refresh(self, ips: Collection[str], now: datetime, interval: timedelta) -> None:
        """Keeps exactly these addresses; new ones are due within the interval, spread over it."""
        ...

    async def claim_due(self, now: datetime, interval: timedelta, limit: int) -> list[Swept]:
        """Addresses that are due now; they are due again after the interval."""
        ...

    async def found(self, look_ups: Iterable[LookUp]) -> None:
        """Keeps what was found of addresses; where it is not known, what was known before stays."""
        ...


class BlockByRule(Protocol):
    """Blocks an address in the service's own name."""

    async def __call__(self, ip: str) -> None:
        """Blocks it if it is still listed, unless it is blocked."""
        ...


class Sweep:
    """The sweep."""

    def __init__(
        self,
        inventory: Inventory,
        look_ups: LookUps,
        blocklist: Blocklist,
        publish: Publish,
        block: BlockByRule,
        *,
        clock: Clock,
        interval: timedelta,
        per_second: float,
        block_lists: frozenset[SpamhausList],
    ) -> None:
        """Each address once an interval; no more than `per_second`. Who is found on one of
        `block_lists` is blocked.
        """
        self._inventory = inventory
        self._look_ups = look_ups
        self._blocklist = blocklist
        self._publish = publish
        self._block = block
        self._clock = clock
        self._interval = interval
        self._per_second = per_second
        self._block_lists = block_lists
        self._refresh_time = clock()
        self._credit = 0.0
        self._last = clock()

    async def __call__(self) -> None:
        """Looks up what is due, as much as the rate allows since the last time."""
        now = self._clock()
        if now >= self._refresh_time:
            self._refresh_time = now + await self._refresh(now)
        elapsed = max(0.0, (now - self._last).total_seconds())
        self._last = now
        # A second's worth at most: after a pause nobody is asked all at once.
        self._credit = min(self._credit + elapsed * self._per_second, max(self._per_second, 1.0))
        limit = min(int(self._credit), AT_A_TIME)
        if limit < 1:
            return
        due = await self._look_ups.claim_due(now, self._interval, limit)
        self._credit -= len(due)
        found = await asyncio.gather(*(self._blocklist.look_up(each.ip) for each in due))
        await self._look_ups.found(found)
        for swept, look_up in zip(due, found, strict=True):
            if look_up.unknown:
                continue
            try:
                await self._tell(swept, look_up)
            except Exception:
                # One that cannot be told is no reason not to tell of the others.
                log.exception("listings not told", ip=swept.ip)

    async def _refresh(self, now: datetime) -> timedelta:
        """Learns which addresses there are; after how long that is to be done again."""
        try:
            ips = {each.ip async for each in self._inventory.addresses()}
        except ApiError as error:
            log.warning("the sweep goes on with what it knows", reason=Reason.Name(error.reason))
            return REFRESH_AGAIN
        await self._look_ups.refresh(ips, now, self._interval)
        return min(REFRESH, self._interval)

    async def _tell(self, swept: Swept, look_up: LookUp) -> None:
        lists = tuple(sorted(each.list for each in look_up.listings))
        if lists != swept.lists:
            await self._tell_change(swept, lists)
        if self._block_lists.intersection(each.list for each in look_up.listings):
            await self._block(swept.ip)

    async def _tell_change(self, swept: Swept, lists: tuple[str, ...]) -> None:
        log.info("listings changed", ip=swept.ip, lists=[*map(str, lists)])
        # Whose it is now: it may have moved since it was claimed.
        server = await self._inventory.with_ip(swept.ip)
        if server is None:
            return
        data = {"server": server.hostname, "ip": swept.ip, "lists": ", ".join(lists)}
        if {*lists} - {*swept.lists}:
            await self._publish(server.account, "ADDRESS_BLOCKLISTED", data)
        if {*swept.lists} - {*lists}:
            await self._publish(server.account, "ADDRESS_DELISTED", data)
