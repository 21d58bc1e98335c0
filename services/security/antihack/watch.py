"""Looks at all bans of all gateways again and again, and counts those that are new."""

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import timedelta

import structlog

from services.runtime.clock import Clock
from services.security.antihack.bans import Bans
from services.security.antihack.counts import BanCounts
from services.security.antihack.fail2ban import Ban, BanList, SourceBusy, SourceFailed
from services.security.gateways.gateway import Gateway, Gateways

AT_A_TIME = 500
"""So many bans are read out of a list and counted before others have a turn."""

REMEMBER = timedelta(days=90)

log = structlog.get_logger()


class WatchBans:
    """Counts bans."""

    def __init__(
        self, gateways: Gateways, bans: Bans, counts: BanCounts, clock: Clock, seconds: float
    ) -> None:
        """A list that is older than `seconds` is read again."""
        self._gateways = gateways
        self._bans = bans
        self._counts = counts
        self._clock = clock
        self._max_age = timedelta(seconds=seconds)
        self._seen: dict[tuple[str, str], Mapping[str, object]] = {}
        self._lost: set[str] = set()

    async def __call__(self) -> None:
        """Looks once at every gateway, at all of them at once."""
        gateways = await self._gateways.all()
        await asyncio.gather(*(self._look(each) for each in gateways))
        names = {each.name for each in gateways}
        self._seen = {key: seen for key, seen in self._seen.items() if key[0] in names}
        self._lost &= names

    async def tidy(self) -> None:
        """Forgets what was long ago."""
        await self._counts.tidy(self._clock() - REMEMBER)

    async def _look(self, gateway: Gateway) -> None:
        since = self._clock() - self._max_age
        try:
            names = (await self._bans.jails(gateway, since)).names
            there = {(gateway.name, jail) for jail in names}
            for gone in [key for key in self._seen if key[0] == gateway.name and key not in there]:
                del self._seen[gone]
            for jail in names:
                read = await self._bans.of_jail(gateway, jail, since)
                if read is not None:
                    await self._count(gateway, jail, read.bans)
        except (SourceFailed, SourceBusy) as failed:
            if gateway.name not in self._lost:
                log.warning("gateway does not tell its bans", gateway=gateway.name, why=str(failed))
            self._lost.add(gateway.name)
            return
        self._lost.discard(gateway.name)

    async def _count(self, gateway: Gateway, jail: str, bans: BanList) -> None:
        seen = self._seen.get((gateway.name, jail), {})
        # A ban that ended and came back is another one.
        new = [ip for ip in bans if seen.get(ip) != bans.mark(ip)]
        for begin in range(0, len(new), AT_A_TIME):
            part = new[begin : begin + AT_A_TIME]
            await self._counts.count(gateway.name, _readable(bans, part))
        self._seen[gateway.name, jail] = {ip: bans.mark(ip) for ip in bans}


def _readable(bans: BanList, ips: Iterable[str]) -> Iterator[Ban]:
    """The bans of the addresses, without those that cannot be read."""
    for ip in ips:
        with suppress(SourceFailed):
            yield bans[ip]
