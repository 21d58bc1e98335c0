"""Testing a webhook: one message now, and what came of it."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from f2h.access.v1.reason_pb2 import Reason

from services.runtime.clock import Clock
from services.runtime.errors import ApiError
from services.runtime.quota import PerMinute
from services.server_ops.webhooks.answer import Answer, Sender
from services.server_ops.webhooks.event import Event, EventType
from services.server_ops.webhooks.signing import headers
from services.server_ops.webhooks.webhook import Webhooks, found

TIMEOUT_SECONDS = 10.0
"""Less than a delivery has: the caller waits, and the edge gives up after 14.9 s."""

TESTS_PER_MINUTE = 10


@dataclass(frozen=True)
class Trial:
    """What came of a test."""

    event: str
    """The event's id."""
    answer: Answer
    seconds: float


class TryWebhook:
    """Sends webhook.test to one webhook, whatever it subscribed to, enabled or not."""

    def __init__(
        self,
        webhooks: Webhooks,
        sender: Sender,
        quota: PerMinute,
        clock: Clock,
        *,
        new_event_id: Callable[[], str],
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        """`timer` answers seconds."""
        self._webhooks = webhooks
        self._sender = sender
        self._quota = quota
        self._clock = clock
        self._new_event_id = new_event_id
        self._timer = timer

    async def __call__(self, webhook_id: UUID, account: str | None) -> Trial:
        """What came of it. Raises ApiError: NOT_FOUND, RATE_LIMITED."""
        webhook = found(await self._webhooks.find(webhook_id), webhook_id, account)
        if not self._quota.allows(str(webhook_id)):
            text = f"A webhook is tested {TESTS_PER_MINUTE} times a minute at most."
            raise ApiError(Reason.RATE_LIMITED, text, retry_after_seconds=60)
        now = self._clock()
        data = {"webhook": str(webhook_id)}
        event = Event(self._new_event_id(), webhook.account, EventType.WEBHOOK_TEST, now, data)
        body = event.body()
        signed = headers(event.id, body, await self._webhooks.secrets(webhook_id, now), now)
        begun = self._timer()
        answer = await self._sender(webhook.url, signed, body, TIMEOUT_SECONDS)
        return Trial(event.id, answer, self._timer() - begun)
