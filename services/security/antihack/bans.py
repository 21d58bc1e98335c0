"""What gateways' fail2ban said last, and when: asked again when that is too old for who asks."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from weakref import WeakValueDictionary

from cachetools import LRUCache

from services.runtime.clock import Clock
from services.security.antihack.fail2ban import (
    BanList,
    Fail2ban,
    Health,
    SourceBusy,
    SourceFailed,
)
from services.security.antihack.jails import concerning
from services.security.gateways.gateway import Gateway

KEPT_BANS = 1_000_000
"""How many bans of all jails are remembered."""

WAIT_SECONDS = 8.0
"""How long somebody waits for others who ask the same gateway."""

FAILURE_AGE = timedelta(seconds=10)
"""For how long a gateway that did not answer is not asked again, whatever age would do."""

SOURCE_SECONDS = 12.0
"""How long all that is asked of a gateway for one address may take. The edge waits for 15."""


@dataclass(frozen=True)
class Jails:
    """The jails of a gateway."""

    names: tuple[str, ...]
    time: datetime


@dataclass(frozen=True)
class JailBans:
    """The bans of a jail, by address."""

    bans: BanList
    time: datetime


@dataclass(frozen=True)
class Failure:
    """That a gateway was asked in vain."""

    why: SourceFailed
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
    """Reads bans, of each gateway one thing at a time.

    Who waited for somebody else's question has its answer, also when it was none: a gateway that
    does not answer is asked once by all who ask.
    """

    def __init__(self, fail2ban: Fail2ban, clock: Clock) -> None:
        self._fail2ban = fail2ban
        self._clock = clock
        self._jails: LRUCache[Gateway, Jails] = LRUCache(10_000)
        self._failures: LRUCache[Gateway, Failure] = LRUCache(10_000)
        self._bans: LRUCache[tuple[Gateway, str], JailBans] = LRUCache(
            KEPT_BANS, getsizeof=lambda kept: len(kept.bans) + 1
        )
        self._changed: LRUCache[tuple[Gateway, str], datetime] = LRUCache(10_000)
        # A lock is there for as long as somebody has it, or waits for it.
        self._turns: WeakValueDictionary[Gateway, asyncio.Lock] = WeakValueDictionary()

    async def source(self, gateway: Gateway, ip: str, max_age: timedelta) -> Source:
        """What the gateway blocks for an address, no older than that. Raises SourceBusy."""
        since = self._clock() - max_age
        try:
            async with asyncio.timeout(SOURCE_SECONDS):
                jails = await self.jails(gateway, since)
                read: dict[str, JailBans] = {}
                for jail in concerning(jails.names, ip):
                    bans = await self.of_jail(gateway, jail, since)
                    if bans is not None:
                        read[jail] = bans
        except SourceFailed as failed:
            known = self._failures.get(gateway)
            time = known.time if known and known.why is failed else self._clock()
            return Source(gateway, ip, failed.health, str(failed), {}, time)
        except TimeoutError:
            text = "It takes too long to answer."
            return Source(gateway, ip, Health.UNREACHABLE, text, {}, self._clock())
        time = min([jails.time, *(each.time for each in read.values())])
        if not read:
            text = "It has no jail for this address."
            return Source(gateway, ip, Health.NO_JAILS, text, {}, time)
        return Source(gateway, ip, Health.OK, "", read, time)

    async def jails(self, gateway: Gateway, since: datetime) -> Jails:
        """The gateway's jails as they were then or later. Raises SourceFailed, SourceBusy."""
        async with self._turn(gateway, since):
            kept = self._jails.get(gateway)
            if kept is None or kept.time < since:
                time = self._clock()
                with self._remembered(gateway, time):
                    kept = Jails(tuple(await self._fail2ban.jails(gateway)), time)
                self._jails[gateway] = kept
            return kept

    async def of_jail(
        self, gateway: Gateway, jail: str, since: datetime, *, though_changed: bool = False
    ) -> JailBans | None:
        """A jail's bans as they were then or later; None: it is gone.

        With `though_changed` also when somebody has changed it since. Raises SourceFailed,
        SourceBusy.
        """
        key = gateway, jail
        async with self._turn(gateway, since):
            kept = self._bans.get(key)
            if not though_changed:
                since = max(since, self._changed.get(key, since))
            if kept is None or kept.time < since:
                time = self._clock()
                try:
                    with self._remembered(gateway, time):
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

    @asynccontextmanager
    async def _turn(self, gateway: Gateway, since: datetime) -> AsyncIterator[None]:
        """The turn to ask.

        Raises SourceFailed when somebody asked in vain then or later, and SourceBusy.
        """
        turn = self._turns.setdefault(gateway, asyncio.Lock())
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await turn.acquire()
        except TimeoutError:
            raise SourceBusy("Too many wait for it.") from None
        try:
            failure = self._failures.get(gateway)
            if failure is not None and failure.time >= max(since, self._clock() - FAILURE_AGE):
                raise failure.why
            yield
        finally:
            turn.release()

    @contextmanager
    def _remembered(self, gateway: Gateway, time: datetime) -> Iterator[None]:
        """Remembers that a question was asked in vain at this time, or that it was not."""
        try:
            yield
        except SourceFailed as failed:
            if not failed.answered:
                self._failures[gateway] = Failure(failed, time)
            raise
        self._failures.pop(gateway, None)
