"""f2h.security.v1.AntihackService."""

import json
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from f2h.security.v1 import antihack_pb2, antihack_pb2_grpc

from services.runtime import timestamps
from services.runtime.call import current_caller
from services.runtime.clock import Clock
from services.runtime.paging import decode_token, encode_token, not_ours, page_size
from services.security.antihack.bans import Source
from services.security.antihack.status import Blocked, Place, ReadAntihack
from services.security.antihack.unban import Outcome, Result, Unban
from services.security.inventory.located import Inventory, canonical_ip, server_of, server_with

US = "US"
"""The region whose gateways UnblockUsAddress asks."""

DEFAULT_MAX_AGE_SECONDS = 10

LONGEST_SECONDS = 2**32 - 1
"""More than a century."""

_Blocked = antihack_pb2.BlockedAddress
_Source = antihack_pb2.AntihackSource


class AntihackServicer(antihack_pb2_grpc.AntihackServiceServicer):
    """Shows and lifts bans."""

    def __init__(
        self, inventory: Inventory, read: ReadAntihack, unban: Unban, clock: Clock
    ) -> None:
        self._inventory = inventory
        self._read = read
        self._unban = unban
        self._clock = clock

    async def GetAntihackStatus(
        self, request: antihack_pb2.GetAntihackStatusRequest, _context: Any
    ) -> antihack_pb2.AntihackStatus:
        """A page of what the gateways block for a server."""
        server = await server_of(self._inventory, request.hostname, current_caller())
        seconds = DEFAULT_MAX_AGE_SECONDS
        if request.HasField("max_age_seconds"):
            seconds = request.max_age_seconds
        status = await self._read(
            server,
            canonical_ip(request.blocked_ip, "blocked_ip") if request.blocked_ip else "",
            timedelta(seconds=seconds),
            _place(request.page_token),
            page_size(request.page_size),
        )
        return antihack_pb2.AntihackStatus(
            sources=map(_pack_source, status.sources),
            blocked=map(self._pack_blocked, status.page),
            next_page_token=encode_token(json.dumps(status.last)) if status.last else "",
            total_blocked=status.total,
        )

    async def UnbanAddress(
        self, request: antihack_pb2.UnbanAddressRequest, _context: Any
    ) -> antihack_pb2.UnbanAddressResponse:
        """Lifts the bans of an address for a server."""
        server = await server_of(self._inventory, request.hostname, current_caller())
        ip = canonical_ip(request.ip)
        return _pack_results(await self._unban(server.ips, ip, jail=request.jail))

    async def UnblockUsAddress(
        self, request: antihack_pb2.UnblockUsAddressRequest, _context: Any
    ) -> antihack_pb2.UnbanAddressResponse:
        """Lifts the bans of an address for one address of a server, on the US gateways."""
        own = canonical_ip(request.ip)
        await server_with(self._inventory, own, current_caller())
        blocked = canonical_ip(request.blocked_ip, "blocked_ip")
        return _pack_results(await self._unban([own], blocked, region=US))

    def _pack_blocked(self, blocked: Blocked) -> antihack_pb2.BlockedAddress:
        ban = blocked.ban
        message = _Blocked(
            ip=ban.ip,
            jail=ban.jail,
            blocked_since=timestamps.pack(ban.since),
            expires=timestamps.pack(ban.expires),
            state=_Blocked.BLOCKED,
            gateway=blocked.source.gateway.name,
            protected_ip=blocked.source.protected_ip,
            times_before=blocked.times_before,
        )
        if ban.expires is not None:
            left = (ban.expires - self._clock()).total_seconds()
            message.remaining_seconds = min(max(0, round(left)), LONGEST_SECONDS)
        return message


def _pack_source(source: Source) -> antihack_pb2.AntihackSource:
    return _Source(
        gateway=source.gateway.name,
        region=source.gateway.region,
        health=_Source.Health.Value(source.health),
        protected_ip=source.protected_ip,
        jails=sorted(source.jails),
        blocked_count=sum(len(each.bans) for each in source.jails.values()),
        observe_time=timestamps.pack(source.time),
        trouble=source.trouble,
    )


def _pack_results(results: Iterable[Result]) -> antihack_pb2.UnbanAddressResponse:
    packed = [
        antihack_pb2.UnbanResult(
            gateway=each.gateway.name,
            region=each.gateway.region,
            outcome=antihack_pb2.UnbanResult.Outcome.Value(each.outcome),
            jails=each.jails,
            health=_Source.Health.Value(each.health),
            trouble=each.trouble,
        )
        for each in results
    ]
    failed = antihack_pb2.UnbanResult.Outcome.Value(Outcome.FAILED)
    return antihack_pb2.UnbanAddressResponse(
        jails=sum(len(each.jails) for each in packed),
        state=_Blocked.UNBLOCKING
        if any(each.outcome == failed for each in packed)
        else _Blocked.UNBLOCKED,
        results=packed,
    )


def _place(token: str) -> Place | None:
    """Where the page before ended; None: this is the first one."""
    text = decode_token(token)
    if not text:
        return None
    try:
        ip, protected_ip, gateway, jail = json.loads(text)
    except (ValueError, TypeError):
        raise not_ours() from None
    place = ip, protected_ip, gateway, jail
    if not all(isinstance(part, str) for part in place):
        raise not_ours()
    return place
