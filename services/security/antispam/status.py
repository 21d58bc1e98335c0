"""The anti-spam status of addresses: our own block, and what Spamhaus lists."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

from services.security.antispam.block import Block, Blocks
from services.security.antispam.listing import Blocklist, LookUp


@dataclass(frozen=True)
class AddressStatus:
    """Both facts about an address."""

    ip: str
    block: Block | None
    """None: it was never blocked."""
    look_up: LookUp


class ReadAntispam:
    """Reads statuses."""

    def __init__(self, blocks: Blocks, blocklist: Blocklist) -> None:
        self._blocks = blocks
        self._blocklist = blocklist

    async def __call__(self, ips: Iterable[str]) -> list[AddressStatus]:
        """The status of each address, given in canonical form, in their order."""
        asked = [*ips]
        look_ups = await asyncio.gather(*(self._blocklist.look_up(ip) for ip in asked))
        # Read last: what is said of our own block is as new as it can be.
        blocks = await self._blocks.of(asked)
        return [AddressStatus(each.ip, blocks.get(each.ip), each) for each in look_ups]
