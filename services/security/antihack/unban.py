"""Lifting bans: sent, and read back before success is said."""

import asyncio
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from ipaddress import ip_address, ip_network

from f2h.access.v1.reason_pb2 import Reason

from services.runtime.clock import Clock
from services.runtime.errors import ApiError
from services.security.antihack.bans import Bans
from services.security.antihack.fail2ban import Fail2ban, Health, SourceBusy, SourceFailed
from services.security.antihack.jails import concerning
from services.security.gateways.gateway import Gateway, Gateways, protecting

RETRY_SECONDS = 1.0

GATEWAY_SECONDS = 12.0
"""How long all of it may take on one gateway. The edge waits for 15."""

NETWORKS_AGE = timedelta(minutes=5)
"""How old what is known of banned networks may be: they are banned by hand, and seldom."""


class Outcome(StrEnum):
    """What came of an unban on one gateway."""

    UNBANNED = "UNBANNED"
    NOT_BANNED = "NOT_BANNED"
    FAILED = "FAILED"


@dataclass(frozen=True)
class Result:
    """What came of an unban on one gateway."""

    gateway: Gateway
    outcome: Outcome
    jails: tuple[str, ...] = ()
    """Those that held the address, and do not any more."""
    health: Health = Health.OK
    trouble: str = ""
    """What is wrong, a sentence; empty: nothing."""


class Unban:
    """Lifts the bans of an address."""

    def __init__(self, gateways: Gateways, fail2ban: Fail2ban, bans: Bans, clock: Clock) -> None:
        self._gateways = gateways
        self._fail2ban = fail2ban
        self._bans = bans
        self._clock = clock

    async def __call__(
        self, protected: Collection[str], ip: str, *, jail: str = "", region: str = ""
    ) -> list[Result]:
        """Lifts every ban that keeps `ip` away from the `protected` addresses, all canonical.

        Only in this jail, which must protect one of them, and only on gateways of this region,
        where they are given. Raises ApiError: NOT_FOUND for another jail, NOT_SET_UP when there is
        no such gateway, and GATEWAY_UNAVAILABLE when none is known to have done it.
        """
        if jail and not any(concerning([jail], each) for each in protected):
            text = f"This server has no jail {jail}."
            raise ApiError(Reason.NOT_FOUND, text, metadata={"jail": jail})
        gateways = [each for each in await self._gateways.all() if region in {"", each.region}]
        asked = {each.name: each for own in protected for each in protecting(gateways, own)}
        if not asked:
            where = f" in the region {region}" if region else ""
            text = f"No gateway{where} protects {', '.join(protected)}."
            raise ApiError(Reason.NOT_SET_UP, text)
        results = await asyncio.gather(
            *(self._on(gateway, protected, ip, jail) for gateway in asked.values())
        )
        if all(each.outcome is Outcome.FAILED for each in results):
            raise _unavailable(results)
        return results

    async def _on(self, gateway: Gateway, protected: Collection[str], ip: str, jail: str) -> Result:
        try:
            async with asyncio.timeout(GATEWAY_SECONDS):
                return await self._lift_all(gateway, protected, ip, jail)
        except SourceFailed as failed:
            return Result(gateway, Outcome.FAILED, health=failed.health, trouble=str(failed))
        except SourceBusy:
            text = "Too many wait for it. Ask again."
        except LookupError:
            text = "Its jails change just now. Ask again."
        except TimeoutError:
            text = "It takes too long. Ask again."
            return Result(gateway, Outcome.FAILED, health=Health.UNREACHABLE, trouble=text)
        return Result(gateway, Outcome.FAILED, trouble=text)

    async def _lift_all(
        self, gateway: Gateway, protected: Iterable[str], ip: str, jail: str
    ) -> Result:
        # By way of what is kept: an answer now forgets a failure before it.
        jails = (await self._bans.jails(gateway, self._clock())).names
        ours = {name for own in protected for name in concerning(jails, own)}
        if not ours:
            return Result(gateway, Outcome.NOT_BANNED, health=Health.NO_JAILS)
        ours = ours & {jail} if jail else ours
        held = await self._held(gateway, ip, ours)
        for name in sorted(held):
            await self._lift(gateway, name, ip)
        left = await self._held(gateway, ip, held) if held else held
        lifted = tuple(sorted(held - left))
        if left:
            text = f"It was told, and still blocks the address in {', '.join(sorted(left))}."
            return Result(gateway, Outcome.FAILED, lifted, trouble=text)
        if network := await self._network(gateway, ip, ours):
            text = f"The network {network} is blocked, which only the NOC can lift."
            return Result(gateway, Outcome.FAILED, lifted, trouble=text)
        return Result(gateway, Outcome.UNBANNED if held else Outcome.NOT_BANNED, lifted)

    async def _held(self, gateway: Gateway, ip: str, jails: set[str]) -> set[str]:
        """Those of the jails that block the address now."""
        return jails.intersection(await self._fail2ban.holding(gateway, ip))

    async def _lift(self, gateway: Gateway, jail: str, ip: str) -> None:
        try:
            await self._fail2ban.unban(gateway, jail, ip)
        finally:
            self._bans.forget(gateway, jail)

    async def _network(self, gateway: Gateway, ip: str, jails: Iterable[str]) -> str:
        """A network with the address that one of the jails blocks as a whole; empty: none does."""
        since = self._clock() - NETWORKS_AGE
        for name in jails:
            try:
                read = await self._bans.of_jail(gateway, name, since, though_changed=True)
            except (SourceFailed, SourceBusy):
                continue  # what was lifted and read back is known all the same
            networks = [each for each in read.bans if "/" in each] if read else []
            for network in networks:
                if ip_address(ip) in ip_network(network):
                    return network
        return ""


def _unavailable(results: Iterable[Result]) -> ApiError:
    why = " ".join(f"{each.gateway.name}: {each.trouble}" for each in results)
    return ApiError(
        Reason.GATEWAY_UNAVAILABLE,
        f"The address is not known to be unblocked. {why}",
        metadata={"gateways": ", ".join(each.gateway.name for each in results)},
        retry_after_seconds=RETRY_SECONDS,
    )
