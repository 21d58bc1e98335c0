"""Blocking addresses and lifting blocks, as the NOC does it, or the operator's rule."""

from dataclasses import dataclass

import structlog
from f2h.access.v1.reason_pb2 import Reason

from services.runtime.clock import Clock
from services.runtime.errors import ApiError
from services.security.antispam.block import Block, Blocks, NotBlocked, UnderWay, Wait
from services.security.antispam.gates import GateView, MailGates
from services.security.antispam.publish import Publish
from services.security.antispam.unblock import ip_busy, not_blocked
from services.security.inventory.located import Inventory, Located

log = structlog.get_logger()


@dataclass(frozen=True)
class Managed:
    """A block that was changed."""

    block: Block
    gates: list[GateView]
    """What the gates that protect the address were seen to do then."""
    server: Located | None
    """Who has the address."""


class ManageBlocks:
    """Blocks, and lifts blocks. Addresses are canonical."""

    def __init__(
        self,
        inventory: Inventory,
        blocks: Blocks,
        gates: MailGates,
        publish: Publish,
        *,
        clock: Clock,
        wait: Wait,
    ) -> None:
        self._inventory = inventory
        self._blocks = blocks
        self._gates = gates
        self._publish = publish
        self._clock = clock
        self._wait = wait

    async def block(self, ip: str, reason: str, by: str) -> Managed:
        """Blocks an address of a server, and what its gates do then.

        A gate that does not do it now is told again and again. Raises ApiError: NOT_FOUND, IP_BUSY.
        """
        server = await self._inventory.with_ip(ip)
        if server is None:
            raise ApiError(Reason.NOT_FOUND, f"No server has {ip}.", metadata={"ip": ip})
        now = self._clock()
        try:
            block = await self._blocks.block(ip, reason, by, now, self._wait)
        except UnderWay as under_way:
            raise ip_busy(ip, under_way.operation) from None
        if block.block_time == now:
            # Before the gates are told, which may take longer than whoever asked waits.
            data = {"server": server.hostname, "ip": ip, "reason": reason}
            await self._publish(server.account, "ADDRESS_BLOCKED", data)
        return Managed(block, await self._gates.settle(ip), server)

    async def override(self, ip: str, *, forget: bool) -> Managed:
        """Lifts a block, and what the gates do then. Raises ApiError: IP_NOT_BLOCKED, IP_BUSY."""
        now = self._clock()
        try:
            block = await self._blocks.override(ip, now, forget=forget)
        except NotBlocked:
            raise not_blocked(ip) from None
        except UnderWay as under_way:
            raise ip_busy(ip, under_way.operation) from None
        server = await self._server_with(ip)
        if server is not None and block.lift_time == now:
            data = {"server": server.hostname, "ip": ip}
            await self._publish(server.account, "ADDRESS_UNBLOCKED", data)
        return Managed(block, await self._gates.settle(ip), server)

    async def _server_with(self, ip: str) -> Located | None:
        """Whose the address is; None: nobody's, or it is not known."""
        try:
            return await self._inventory.with_ip(ip)
        except ApiError as error:
            # What was changed is changed, which a failure now would deny.
            log.error("lifted, and nobody told", ip=ip, reason=Reason.Name(error.reason))
            return None

    async def page(self, after: str, limit: int, *, lifted: bool) -> list[Block]:
        """Blocks in the order of their addresses' texts, those behind `after`."""
        return await self._blocks.page(after, limit, lifted=lifted)
