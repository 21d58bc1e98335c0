"""Carrying unblockings to their end."""

from collections.abc import Mapping
from datetime import timedelta
from functools import partial

from services.runtime.background import Apart
from services.runtime.clock import Clock
from services.security.antispam.block import Blocks, Unblocking
from services.security.antispam.gates import GateView, MailGates
from services.security.antispam.publish import Publish


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
        self._apart = Apart()

    async def __call__(self) -> None:
        """Tries each unblocking that is under way once; a slow one keeps no other waiting."""
        under_way = await self._blocks.under_way()
        await self._apart.go_on({each.id: partial(self._try, each) for each in under_way})

    async def close(self) -> None:
        """Lets go of what is under way: it goes on elsewhere, or at the next start."""
        await self._apart.close()

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
        if ended is None or failure:
            return
        data = {"server": ended.hostname, "ip": ended.ip, "operation": ended.name}
        await self._publish(ended.account, "ADDRESS_UNBLOCKED", data)


def _failure(view: GateView) -> Mapping[str, str]:
    text = (
        f"The mail gate {view.gateway} did not lift the block in time. {view.trouble} "
        "The address is still blocked; ask again."
    )
    return {"reason": "MAIL_GATE_FAILED", "message": text, "gateway": view.gateway}
