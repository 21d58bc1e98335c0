"""Delivering what is due: again and again, a bounded number at a time."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

import structlog

from services.runtime.clock import Clock
from services.server_ops.webhooks.answer import Answer, Sender
from services.server_ops.webhooks.delivery import Claimed, Deliveries
from services.server_ops.webhooks.signing import headers
from services.server_ops.webhooks.webhook import Webhook

log = structlog.get_logger()


class Deliver:
    """Claims deliveries that are due and makes them. Another process's are not touched.

    A process that dies leaves its claims, which expire: what it had under way is then sent again,
    by whoever is there, with the same webhook-id.
    """

    def __init__(
        self,
        deliveries: Deliveries,
        sender: Sender,
        clock: Clock,
        random: Callable[[], float],
        *,
        at_once: int,
        timeout_seconds: float,
    ) -> None:
        """`at_once` is how many may be under way in this process."""
        self._deliveries = deliveries
        self._sender = sender
        self._clock = clock
        self._random = random
        self._at_once = at_once
        self._timeout_seconds = timeout_seconds
        self._tasks: set[asyncio.Task[None]] = set()
        self._claiming = asyncio.Lock()
        self._closed = False

    async def __call__(self) -> None:
        """Begins what is due, as far as there is room, and does not wait for its end."""
        async with self._claiming:
            room = self._at_once - len(self._tasks)
            if room <= 0 or self._closed:
                return
            now = self._clock()
            # Twice the time that an attempt may take: its end is written well before.
            until = now + timedelta(seconds=2 * self._timeout_seconds)
            for claimed in await self._deliveries.claim(now, until, room):
                task = asyncio.create_task(self._deliver(claimed))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def close(self, seconds: float) -> None:
        """Begins nothing more, and gives what is under way so many seconds to end."""
        self._closed = True
        async with self._claiming:
            tasks = {*self._tasks}
        if not tasks:
            return
        _, unfinished = await asyncio.wait(tasks, timeout=seconds)
        for task in unfinished:
            task.cancel()
        await asyncio.gather(*unfinished, return_exceptions=True)

    async def _deliver(self, claimed: Claimed) -> None:
        webhook, delivery = claimed.webhook, claimed.delivery
        try:
            if webhook.enabled:
                answer = await self._send(claimed)
                await self._settle(claimed, answer)
            else:
                await self._deliveries.settle(claimed, lambda each: each.dropped(), _unchanged)
        except Exception:
            # Its claim expires, and then it is tried again.
            log.exception("delivery not settled", webhook=str(webhook.id), event=delivery.event)
            return
        # There may be more to the same webhook, which were too many at once.
        self._tasks.discard(_current())
        try:
            await self()
        except Exception:
            log.exception("no deliveries claimed")

    async def _send(self, claimed: Claimed) -> Answer:
        signed = headers(claimed.delivery.event, claimed.body, claimed.secrets, self._clock())
        return await self._sender(claimed.webhook.url, signed, claimed.body, self._timeout_seconds)

    async def _settle(self, claimed: Claimed, answer: Answer) -> None:
        now, fraction = self._clock(), self._random()
        await self._deliveries.settle(
            claimed,
            lambda delivery: delivery.after(answer, now, fraction),
            lambda webhook: webhook.after(answer, now),
        )


def _current() -> asyncio.Task[None]:
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - it runs in one
    return task


def _unchanged(webhook: Webhook) -> Webhook:
    return webhook
