"""The anti-hack status of a server: what each gateway blocks for each of its addresses."""

import asyncio
import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta

import structlog
from f2h.access.v1.reason_pb2 import Reason

from services.runtime.errors import ApiError
from services.security.antihack.bans import Bans, Source
from services.security.antihack.counts import BanCounts
from services.security.antihack.fail2ban import Ban, SourceBusy, SourceFailed
from services.security.gateways.gateway import Gateways, protecting
from services.security.inventory.located import Located

BUSY_RETRY_SECONDS = 1.0

log = structlog.get_logger()

Place = tuple[str, str, str, str]
"""Where a ban is in the order of a status: its address, protected address, gateway and jail."""


@dataclass(frozen=True)
class Blocked:
    """A ban of a server."""

    place: Place
    source: Source
    ban: Ban
    times_before: int


@dataclass(frozen=True)
class Status:
    """A page of a server's status."""

    sources: list[Source]
    page: list[Blocked]
    """Without bans that cannot be read."""
    last: Place | None
    """The place that the next page is behind; None: this is the last one."""
    total: int


class ReadAntihack:
    """Reads statuses."""

    def __init__(self, gateways: Gateways, bans: Bans, counts: BanCounts) -> None:
        self._gateways = gateways
        self._bans = bans
        self._counts = counts

    async def __call__(
        self, server: Located, blocked_ip: str, max_age: timedelta, after: Place | None, limit: int
    ) -> Status:
        """The status, no older than that; bans behind `after`, at most `limit`.

        With `blocked_ip`, only bans of that address. Raises ApiError(OVERLOADED).
        """
        gateways = await self._gateways.all()
        reads = [
            self._bans.source(gateway, ip, max_age)
            for ip in server.ips
            for gateway in protecting(gateways, ip)
        ]
        try:
            sources = await asyncio.gather(*reads)
        except SourceBusy:
            raise busy() from None
        of_place = {(each.protected_ip, each.gateway.name): each for each in sources}
        places = [place for source in sources for place in _places(source, blocked_ip)]
        behind = (place for place in places if after is None or place > after)
        page = heapq.nsmallest(limit + 1, behind)
        return Status(
            sources=sources,
            page=await self._blocked(page[:limit], of_place),
            last=page[limit - 1] if len(page) > limit else None,
            total=len(places),
        )

    async def _blocked(
        self, page: Iterable[Place], sources: dict[tuple[str, str], Source]
    ) -> list[Blocked]:
        found = []
        for place in page:
            ip, protected, gateway, jail = place
            source = sources[protected, gateway]
            try:
                found.append((place, source, source.jails[jail].bans[ip]))
            except SourceFailed as failed:
                log.warning("ban cannot be read", gateway=gateway, jail=jail, why=str(failed))
        before = await self._counts.before((each.gateway.name, ban) for _, each, ban in found)
        return [
            Blocked(place, source, ban, before.get((source.gateway.name, ban.jail, ban.ip), 0))
            for place, source, ban in found
        ]


def busy() -> ApiError:
    """That too many wait for a gateway."""
    text = "A gateway that protects this server has too many questions waiting."
    return ApiError(Reason.OVERLOADED, text, retry_after_seconds=BUSY_RETRY_SECONDS)


def _places(source: Source, blocked_ip: str) -> Iterator[Place]:
    for jail, read in source.jails.items():
        if blocked_ip:
            ips: Iterable[str] = [blocked_ip] if blocked_ip in read.bans else []
        else:
            ips = read.bans
        for ip in ips:
            yield ip, source.protected_ip, source.gateway.name, jail
