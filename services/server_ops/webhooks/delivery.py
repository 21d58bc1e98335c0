"""One event on its way to one webhook, and where deliveries are kept."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from services.server_ops.webhooks.answer import Answer, Reason
from services.server_ops.webhooks.event import Event, EventType
from services.server_ops.webhooks.schedule import delay
from services.server_ops.webhooks.webhook import Webhook

AT_ONCE_TO_ONE = 4
"""How many deliveries to one webhook may be under way."""


class State(StrEnum):
    """Where a delivery stands."""

    PENDING = "PENDING"
    DELIVERED = "DELIVERED"
    FAILED = "FAILED"


@dataclass(frozen=True)
class Delivery:
    """One event on its way to one webhook."""

    id: UUID
    event: str
    """The event's id."""
    event_type: "EventType.ValueType"
    create_time: datetime
    next_attempt_time: datetime | None
    """When it is sent the next time; None: it is not."""
    state: State = State.PENDING
    attempts: int = 0
    last: Answer = field(default_factory=Answer)
    last_attempt_time: datetime | None = None

    def after(self, answer: Answer, now: datetime, fraction: float) -> "Delivery":
        """The delivery after an attempt. `fraction` is random, from 0 to 1."""
        tried = replace(self, attempts=self.attempts + 1, last=answer, last_attempt_time=now)
        if answer.success:
            return replace(tried, state=State.DELIVERED, next_attempt_time=None)
        wait = None if answer.gone else delay(tried.attempts, fraction)
        if wait is None:
            return replace(tried, state=State.FAILED, next_attempt_time=None)
        return replace(tried, next_attempt_time=now + wait)

    def dropped(self) -> "Delivery":
        """The delivery, given up because its webhook is disabled."""
        last = Answer(reason=Reason.WEBHOOK_DISABLED)
        return replace(self, state=State.FAILED, last=last, next_attempt_time=None)


@dataclass(frozen=True)
class Claimed:
    """A delivery that this process has to make, alone until its claim expires."""

    delivery: Delivery
    claim: UUID
    """Names this claim among all that the delivery ever had."""
    webhook: Webhook
    body: str
    secrets: tuple[str, ...]


class Deliveries(Protocol):
    """Where deliveries are kept."""

    async def publish(self, event: Event) -> None:
        """Keeps an event and its delivery to every webhook that wants it."""
        ...

    async def page(self, webhook_id: UUID, after: str, limit: int) -> list[Delivery]:
        """A webhook's deliveries, newest first, those behind the position `after`."""
        ...

    async def claim(self, now: datetime, until: datetime, limit: int) -> list[Claimed]:
        """Deliveries that are due, which nobody else claims before `until`.

        Never more to one webhook than AT_ONCE_TO_ONE, other processes' claims among them.
        """
        ...

    async def settle(
        self,
        claimed: Claimed,
        delivery: Callable[[Delivery], Delivery],
        webhook: Callable[[Webhook], Webhook],
    ) -> None:
        """Applies what came of it to both, unless the claim is no longer this one."""
        ...

    async def forget_old(self, now: datetime) -> None:
        """Removes what nobody asks for any more."""
        ...
