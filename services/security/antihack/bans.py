"""What gateways' fail2ban said last, and when: asked again when that is too old for who asks."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from weakref import WeakValueDictionary

from cachetools import LRUCache

from services.runtime.clock import Clock
from services.security.antihack.fail2ban import Ban, Fail2ban, Health, SourceFailed
from services.security.antihack.jails import concerning
from services.security.gateways.gateway import Gateway

KEPT_BANS = 1_000_000
"""How many bans of all jails are remembered."""


@dataclass(frozen=True)
class Jails:
    """The jails of a gateway."""

    names: tuple[str, ...]
    time: datetime


@dataclass(frozen=True)
class JailBans:
    """The bans of a jail, by address."""

    bans: Mapping[str, Ban]
    time: datetime


@dataclass(frozen=True)
class Source:
    """What one gateway blocks for one address."""

    gateway: Gateway
    protected_ip: str
    health: Health
    trouble: str
    """What is wrong, a sentence; empty: nothing."""
    jails: Mapping[str, JailBans]
    time: datetime
    """When the eldest of this was said."""


class Bans:
    """Reads bans; many who ask for the same at once are one question."""

    def __init__(self, fail2ban: Fail2ban, clock: Clock) -> None:
        self._fail2ban = fail2ban
        self._clock = clock
        self._jails: LRUCache[Gateway, Jails] = LRUCache(10_000)
        self._bans: LRUCache[tuple[Gateway, str], JailBans] = LRUCache(
            KEPT_BANS, getsizeof=lambda kept: len(kept.bans) + 1
        )
        self._changed: LRUCache[tuple[Gateway, str], datetime] = LRUCache(10_000)
        # A lock is there for as long as somebody has it, or waits for it.
        self._turns: WeakValueDictionary[object, asyncio.Lock] = WeakValueDictionary()

    async def source(self, gateway: Gateway, ip: str, max_age: timedelta) -> Source:
        """What the gateway blocks for an address, no older than that. Raises SourceBusy."""
        asked = self._clock()
        try:
            jails = await self.jails(gateway, asked - max_age)
            read: dict[str, JailBans] = {}
            for jail in concerning(jails.names, ip):
                bans = await self.of_jail(gateway, jail, asked - max_age)
                if bans is not None:
                    read[jail] = bans
        except SourceFailed as failed:
            return Source(gateway, ip, failed.health, str(failed), {}, self._clock())
        time = min([jails.time, *(each.time for each in read.values())])
        if not read:
            text = "It has no jail for this address."
            return Source(gateway, ip, Health.NO_JAILS, text, {}, time)
        return Source(gateway, ip, Health.OK, "", read, time)

    async def jails(self, gateway: Gateway, since: datetime) -> Jails:
        """The gateway's jails as they were then or later. Raises SourceFailed, SourceBusy."""
        turn = self._turns.setdefault(gateway, asyncio.Lock())
        async with turn:
            kept = self._jails.get(gateway)
            if kept is None or kept.time < since:
                time = self._clock()
                kept = Jails(tuple(await self._fail2ban.jails(gateway)), time)
                self._jails[gateway] = kept
            return kept

    async def of_jail(self, gateway: Gateway, jail: str, since: datetime) -> JailBans | None:
        """A jail's bans as they were then or later; None: it is gone.

        Raises SourceFailed, SourceBusy.
        """
        key = gateway, jail
        turn = self._turns.setdefault(key, asyncio.Lock())
        async with turn:
            kept = self._bans.get(key)
            since = max(since, self._changed.get(key, since))
            if kept is None or kept.time < since:
                time = self._clock()
                try:
                    kept = JailBans(await self._fail2ban.bans(gateway, jail), time)
                except LookupError:
                    self._bans.pop(key, None)
                    self._jails.pop(gateway, None)
                    return None
                if len(kept.bans) < KEPT_BANS:
                    self._bans[key] = kept
            return kept

    def forget(self, gateway: Gateway, jail: str) -> None:
        """Believes nothing that the jail said, or began to say, before now: it was changed."""
        self._changed[gateway, jail] = self._clock()
