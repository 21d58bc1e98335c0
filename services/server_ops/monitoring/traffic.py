"""Traffic from the counters of switches."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from cachetools import LRUCache

from services.server_ops.monitoring.series import TRAFFIC_IN, TRAFFIC_OUT
from services.server_ops.monitoring.uplink import Uplink, Uplinks

OLDEST_SECONDS = 600.0
"""A counter that was read longer ago tells nothing of the last minute."""

KEPT_SERVERS = 100_000
_BITS = 8


@dataclass(frozen=True)
class Counters:
    """What an interface of a switch has counted, in bytes.

    ifHCInOctets and ifHCOutOctets, RFC 2863.
    """

    received: int
    """By the switch: what the server sent."""
    sent: int


class SwitchError(Exception):
    """A switch did not say what it counted."""


class Switches(Protocol):
    """What switches are asked."""

    async def counters(self, uplink: Uplink) -> Counters:
        """What the interface has counted. Raises SwitchError."""
        ...


class MeasureTraffic:
    """The rates between two readings of the counters."""

    def __init__(
        self,
        uplinks: Uplinks,
        switches: Switches,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._uplinks = uplinks
        self._switches = switches
        self._monotonic = monotonic
        self._before: LRUCache[str, tuple[Uplink, float, Counters]] = LRUCache(KEPT_SERVERS)

    async def __call__(self, hostname: str) -> dict[str, float]:
        """Bits a second that came to the server and went from it; nothing when that is not known.

        A counter that went back began anew, and says nothing once.
        """
        uplink = await self._uplinks.find(hostname)
        if uplink is None:
            return {}
        try:
            counters = await self._switches.counters(uplink)
        except SwitchError:
            return {}
        now = self._monotonic()
        before = self._before.get(hostname)
        self._before[hostname] = (uplink, now, counters)
        if before is None or before[0] != uplink:
            return {}
        seconds = now - before[1]
        came = counters.sent - before[2].sent
        went = counters.received - before[2].received
        if not 0 < seconds <= OLDEST_SECONDS or came < 0 or went < 0:
            return {}
        return {TRAFFIC_IN: came * _BITS / seconds, TRAFFIC_OUT: went * _BITS / seconds}
