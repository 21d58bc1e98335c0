"""Bringing mail gates to what they should block."""

import asyncio
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import partial
from time import monotonic

import structlog

from services.runtime.background import Apart
from services.security.antispam.block import Blocks
from services.security.antispam.gate import GateFailed, MailGate
from services.security.antispam.states import State
from services.security.gateways.gateway import Gateway, Gateways, protecting

LOOKS = 2
"""How often a change is made and read back before it is left to the next comparison."""

SETTLE_SECONDS = 12.0
"""How long a gate may take for one address. The edge waits for 15."""

log = structlog.get_logger()


@dataclass(frozen=True)
class GateView:
    """What a mail gate was seen to do with an address."""

    gateway: str
    blocks: bool | None
    """None: it is not known."""
    trouble: str = ""
    """What is wrong, a sentence; empty: nothing."""


class MailGates:
    """All mail gates. What is kept in Blocks is what should be; a gate is brought to it."""

    def __init__(self, gateways: Gateways, blocks: Blocks, gate: MailGate) -> None:
        self._gateways = gateways
        self._blocks = blocks
        self._gate = gate
        self._foreign: dict[str, frozenset[str]] = {}
        """What each gate blocks although we know nothing of it."""

    async def gates(self) -> list[Gateway]:
        """Those gateways that are mail gates."""
        return [each for each in await self._gateways.all() if each.mail_gate]

    async def settle(self, ip: str) -> list[GateView]:
        """Brings every gate that protects the address to what it should do with it."""
        gates = protecting(await self.gates(), ip)
        return [*await asyncio.gather(*(self._settle(gate, ip) for gate in gates))]

    async def compare(self, gateway: Gateway) -> None:
        """Brings a gate to what it should do with all addresses: it may have been restarted."""
        try:
            held = await self._gate.blocked(gateway)
            in_force = await self._blocks.in_force()
            missing = {
                ip
                for ip, state in in_force.items()
                if state is State.BLOCKED_FOR_SPAM and ip not in held and gateway.protects(ip)
            }
            extra = held - in_force.keys()
            known = {*await self._blocks.of(extra)}
            if missing:
                await self._gate.block(gateway, missing)
            if known:
                await self._gate.lift(gateway, known)
        except GateFailed as failed:
            log.warning("mail gate does not do it", gateway=gateway.name, why=str(failed))
            return
        self._tell_foreign(gateway, frozenset(extra - known))
        # What changed meanwhile was perhaps done the old way. Few do.
        now = await self._blocks.of(missing | known)
        for ip, block in now.items():
            if (block.state is State.BLOCKED_FOR_SPAM) != (ip in missing):
                await self._settle(gateway, ip)

    def _tell_foreign(self, gateway: Gateway, foreign: frozenset[str]) -> None:
        if foreign - self._foreign.get(gateway.name, frozenset()):
            log.warning(
                "mail gate blocks addresses that we know nothing of",
                gateway=gateway.name,
                count=len(foreign),
                first=min(foreign),
            )
        self._foreign[gateway.name] = foreign

    async def _settle(self, gateway: Gateway, ip: str) -> GateView:
        try:
            async with asyncio.timeout(SETTLE_SECONDS):
                return await self._brought(gateway, ip)
        except GateFailed as failed:
            return GateView(gateway.name, None, str(failed))
        except TimeoutError:
            return GateView(gateway.name, None, "It takes too long to answer.")
        except Exception:
            # Whatever it is: the operation that waits for this gate must end.
            log.exception("mail gate", gateway=gateway.name)
            return GateView(gateway.name, None, "It cannot be asked, by a fault of ours.")

    async def _brought(self, gateway: Gateway, ip: str) -> GateView:
        """Makes the change, and looks again: the block may be another one by now."""
        for _ in range(LOOKS):
            wanted = await self._wanted(ip)
            if await self._gate.holds(gateway, ip) == wanted:
                return GateView(gateway.name, wanted)
            await (self._gate.block if wanted else self._gate.lift)(gateway, [ip])
        held = await self._gate.holds(gateway, ip)
        wanted = await self._wanted(ip)
        trouble = "" if held == wanted else "It was told, and does not do it."
        return GateView(gateway.name, held, trouble)

    async def _wanted(self, ip: str) -> bool:
        block = (await self._blocks.of([ip])).get(ip)
        return block is not None and block.state is State.BLOCKED_FOR_SPAM


class CompareGates:
    """Compares each gate again and again."""

    def __init__(
        self, gates: MailGates, seconds: float, timer: Callable[[], float] = monotonic
    ) -> None:
        """Each one `seconds` after it was compared before."""
        self._gates = gates
        self._seconds = seconds
        self._timer = timer
        self._due: dict[Hashable, float] = {}
        self._apart = Apart()

    async def __call__(self) -> None:
        """Compares the gates whose time it is; a slow one keeps no other waiting."""
        gates = await self._gates.gates()
        now = self._timer()
        self._due = {each: self._due.get(each, now) for each in gates}
        await self._apart.go_on(
            {each: partial(self._compare, each) for each in gates if self._due[each] <= now}
        )

    async def _compare(self, gateway: Gateway) -> None:
        try:
            await self._gates.compare(gateway)
        finally:
            self._due[gateway] = self._timer() + self._seconds

    async def close(self) -> None:
        """Ends comparing."""
        await self._apart.close()
