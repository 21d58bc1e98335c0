"""Lifting bans: sent, and read back before success is said."""

import asyncio
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import StrEnum

from f2h.access.v1.reason_pb2 import Reason

from services.runtime.errors import ApiError
from services.security.antihack.bans import Bans
from services.security.antihack.fail2ban import Fail2ban, Health, SourceBusy, SourceFailed
from services.security.antihack.jails import concerning
from services.security.gateways.gateway import Gateway, Gateways, protecting

RETRY_SECONDS = 1.0


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

    def __init__(self, gateways: Gateways, fail2ban: Fail2ban, bans: Bans) -> None:
        self._gateways = gateways
        self._fail2ban = fail2ban
        self._bans = bans

    async def __call__(
        self, protected: Collection[str], ip: str, *, jail: str = "", region: str = ""
    ) -> list[Result]:
        """Lifts every ban that keeps `ip` away from the `protected` addresses, all canonical.

        Only in this jail, which must protect one of them, and only on gateways of this region,
        where they are given. Raises ApiError: NOT_FOUND for another jail, and GATEWAY_UNAVAILABLE
        when no gateway is known to have done it.
        """
        if jail and not any(concerning([jail], each) for each in protected):
            text = f"This server has no jail {jail}."
            raise ApiError(Reason.NOT_FOUND, text, metadata={"jail": jail})
        gateways = [each for each in await self._gateways.all() if region in {"", each.region}]
        asked = {each.name: each for own in protected for each in protecting(gateways, own)}
        results = await asyncio.gather(
            *(self._on(gateway, protected, ip, jail) for gateway in asked.values())
        )
        if results and all(each.outcome is Outcome.FAILED for each in results):
            raise _unavailable(results)
        return results

    async def _on(self, gateway: Gateway, protected: Iterable[str], ip: str, jail: str) -> Result:
        try:
            jails = await self._fail2ban.jails(gateway)
            ours = {name for own in protected for name in concerning(jails, own)}
            if not ours:
                return Result(gateway, Outcome.NOT_BANNED, health=Health.NO_JAILS)
            held = await self._held(gateway, ip, ours & {jail} if jail else ours)
            for name in sorted(held):
                await self._lift(gateway, name, ip)
            left = await self._held(gateway, ip, held) if held else held
        except SourceFailed as failed:
            return Result(gateway, Outcome.FAILED, health=failed.health, trouble=str(failed))
        except SourceBusy:
            text = "Too many wait for it. Ask again."
            return Result(gateway, Outcome.FAILED, trouble=text)
        except LookupError:
            text = "Its jails change just now. Ask again."
            return Result(gateway, Outcome.FAILED, trouble=text)
        lifted = tuple(sorted(held - left))
        if left:
            text = f"It was told, and still blocks the address in {', '.join(sorted(left))}."
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


def _unavailable(results: Iterable[Result]) -> ApiError:
    why = " ".join(f"{each.gateway.name}: {each.trouble}" for each in results)
    return ApiError(
        Reason.GATEWAY_UNAVAILABLE,
        f"The address is not known to be unblocked. {why}",
        metadata={"gateways": ", ".join(each.gateway.name for each in results)},
        retry_after_seconds=RETRY_SECONDS,
    )
