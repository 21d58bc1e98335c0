"""What security asks, measured: each of these implements a protocol by another implementation."""

import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager

from services.runtime import tracing
from services.security.antihack.fail2ban import BanList, Fail2ban, Health, SourceFailed
from services.security.antispam.gate import GateFailed, MailGate
from services.security.antispam.listing import Blocklist, LookUp
from services.security.gateways.gateway import Gateway
from services.security.metrics import SecurityMetrics


class MeasuredFail2ban:
    """Implements Fail2ban."""

    def __init__(self, fail2ban: Fail2ban, metrics: SecurityMetrics) -> None:
        self._fail2ban = fail2ban
        self._metrics = metrics

    async def jails(self, gateway: Gateway) -> list[str]:
        """See Fail2ban."""
        with self._measured(gateway, "jails"):
            return await self._fail2ban.jails(gateway)

    async def bans(self, gateway: Gateway, jail: str) -> BanList:
        """See Fail2ban."""
        with self._measured(gateway, "bans"):
            return await self._fail2ban.bans(gateway, jail)

    async def holding(self, gateway: Gateway, ip: str) -> list[str]:
        """See Fail2ban."""
        with self._measured(gateway, "holding"):
            return await self._fail2ban.holding(gateway, ip)

    async def unban(self, gateway: Gateway, jail: str, ip: str) -> bool:
        """See Fail2ban."""
        with self._measured(gateway, "unban"):
            return await self._fail2ban.unban(gateway, jail, ip)

    @contextmanager
    def _measured(self, gateway: Gateway, verb: str) -> Iterator[None]:
        begun = time.perf_counter()
        health = Health.OK
        try:
            with tracing.span(f"fail2ban {verb}", {"f2h.gateway": gateway.name}):
                yield
        except SourceFailed as failed:
            if not failed.answered:
                health = failed.health
            raise
        finally:
            self._metrics.fail2ban_told(gateway.name, health, time.perf_counter() - begun)


class MeasuredMailGate:
    """Implements MailGate."""

    def __init__(self, gate: MailGate, metrics: SecurityMetrics) -> None:
        self._gate = gate
        self._metrics = metrics

    async def blocked(self, gateway: Gateway) -> frozenset[str]:
        """See MailGate."""
        with self._measured(gateway, "blocked"):
            return await self._gate.blocked(gateway)

    async def holds(self, gateway: Gateway, ip: str) -> bool:
        """See MailGate."""
        with self._measured(gateway, "holds"):
            return await self._gate.holds(gateway, ip)

    async def block(self, gateway: Gateway, ips: Collection[str]) -> None:
        """See MailGate."""
        with self._measured(gateway, "block"):
            await self._gate.block(gateway, ips)

    async def lift(self, gateway: Gateway, ips: Collection[str]) -> None:
        """See MailGate."""
        with self._measured(gateway, "lift"):
            await self._gate.lift(gateway, ips)

    @contextmanager
    def _measured(self, gateway: Gateway, verb: str) -> Iterator[None]:
        try:
            with tracing.span(f"mail gate {verb}", {"f2h.gateway": gateway.name}):
                yield
        except GateFailed:
            self._metrics.mail_gate_told(gateway.name, well=False)
            raise
        self._metrics.mail_gate_told(gateway.name, well=True)


class MeasuredBlocklist:
    """Implements Blocklist."""

    def __init__(self, blocklist: Blocklist, metrics: SecurityMetrics) -> None:
        self._blocklist = blocklist
        self._metrics = metrics

    async def look_up(self, ip: str, *, fresh: bool = False) -> LookUp:
        """See Blocklist."""
        found = await self._blocklist.look_up(ip, fresh=fresh)
        self._metrics.looked_up("unknown" if found.unknown else _outcome(found))
        return found


def _outcome(found: LookUp) -> str:
    return "listed" if found.listings else "clean"
