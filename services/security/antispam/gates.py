"""Bringing mail gates to what they should block."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from time import monotonic

import structlog

from services.runtime.clock import Clock
from services.security.antispam.block import Blocks, Unblocking
from services.security.antispam.gate import GateFailed, MailGate
from services.security.antispam.publish import Publish
from services.security.antispam.states import State
from services.security.gateways.gateway import Gateway, Gateways, protecting

LOOKS = 2
"""How often a change is made and read back before it is left to the next comparison."""

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
        self._unknown: set[tuple[str, str]] = set()

    async def settle(self, ip: str) -> list[GateView]:
        """Brings every gate that protects the address to what it should do with it."""
        gates = [each for each in protecting(await self._gateways.all(), ip) if each.mail_gate]
        return [*await asyncio.gather(*(self._settle(gate, ip) for gate in gates))]

    async def compare(self) -> None:
        """Brings every gate to what it should do with all addresses: it may have been restarted."""
        gates = [each for each in await self._gateways.all() if each.mail_gate]
        await asyncio.gather(*(self._compare(gate) for gate in gates))

    async def _settle(self, gateway: Gateway, ip: str) -> GateView:
        """Makes the change, and looks again: the block may be another one by now."""
        try:
            for _ in range(LOOKS):
                wanted = await self._wanted(ip)
                if await self._gate.holds(gateway, ip) == wanted:
                    return GateView(gateway.name, wanted)
                await (self._gate.block if wanted else self._gate.lift)(gateway, ip)
            held = await self._gate.holds(gateway, ip)
        except GateFailed as failed:
            return GateView(gateway.name, None, str(failed))
        wanted = await self._wanted(ip)
        trouble = "" if held == wanted else "It was told, and does not do it."
        return GateView(gateway.name, held, trouble)

    async def _wanted(self, ip: str) -> bool:
        block = (await self._blocks.of([ip])).get(ip)
        return block is not None and block.state is State.BLOCKED_FOR_SPAM

    async def _compare(self, gateway: Gateway) -> None:
        try:
            held = await self._gate.blocked(gateway)
        except GateFailed as failed:
            log.warning(
                "mail gate does not say what it blocks", gateway=gateway.name, why=str(failed)
            )
            return
        in_force = await self._blocks.in_force()
        missing = {
            ip
            for ip, state in in_force.items()
            if state is State.BLOCKED_FOR_SPAM and ip not in held and gateway.protects(ip)
        }
        extra = held - in_force.keys()
        known = await self._blocks.of(extra)
        for ip in sorted(missing | known.keys()):
            view = await self._settle(gateway, ip)
            if view.trouble:
                log.warning(
                    "mail gate does not do it", gateway=gateway.name, ip=ip, why=view.trouble
                )
                return
        for ip in sorted(extra - known.keys()):
            if (gateway.name, ip) not in self._unknown:
                log.warning("mail gate blocks an address of its own", gateway=gateway.name, ip=ip)
                self._unknown.add((gateway.name, ip))


class CompareGates:
    """Compares all gates when it is time."""

    def __init__(
        self, gates: MailGates, seconds: float, timer: Callable[[], float] = monotonic
    ) -> None:
        self._gates = gates
        self._seconds = seconds
        self._timer = timer
        self._due = 0.0

    async def __call__(self) -> None:
        """Compares, if it is time."""
        if self._timer() >= self._due:
            self._due = self._timer() + self._seconds
            await self._gates.compare()


class FinishUnblockings:
    """Carries accepted unblockings to their end, also those of a process that is gone."""

    def __init__(
        self,
        blocks: Blocks,
        gates: MailGates,
        publish: Publish,
        clock: Clock,
        patience: timedelta,
    ) -> None:
        """After `patience` an unblocking that mail gates do not do has failed."""
        self._blocks = blocks
        self._gates = gates
        self._publish = publish
        self._clock = clock
        self._patience = patience

    async def __call__(self) -> None:
        """Tries each unblocking that is under way once."""
        await asyncio.gather(*(self._try(each) for each in await self._blocks.under_way()))

    async def _try(self, unblocking: Unblocking) -> None:
        views = await self._gates.settle(unblocking.ip)
        wrong = next((view for view in views if view.blocks is not False), None)
        if wrong is None:
            await self._end(unblocking, None)
        elif self._clock() >= unblocking.create_time + self._patience:
            await self._end(unblocking, _failure(wrong))
            # What was lifted on the others is blocked again.
            await self._gates.settle(unblocking.ip)

    async def _end(self, unblocking: Unblocking, failure: Mapping[str, str] | None) -> None:
        ended = await self._blocks.end(unblocking.id, self._clock(), failure)
        if ended is None:
            return
        data = {"server": ended.hostname, "ip": ended.ip, "operation": ended.name}
        if not failure:
            await self._publish(ended.account, "ADDRESS_UNBLOCKED", data)


def _failure(view: GateView) -> Mapping[str, str]:
    text = (
        f"The mail gate {view.gateway} did not lift the block in time. {view.trouble} "
        "The address is still blocked; ask again."
    )
    return {"reason": "MAIL_GATE_FAILED", "message": text, "gateway": view.gateway}
