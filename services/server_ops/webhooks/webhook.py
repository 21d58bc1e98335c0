"""A webhook, and where webhooks are kept. Everything here is a value: a change makes a new one."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from f2h.access.v1.reason_pb2 import Reason
from f2h.server_ops.v1 import webhook_pb2

from services.runtime.errors import ApiError
from services.server_ops.webhooks.answer import Answer
from services.server_ops.webhooks.event import EventType

DisabledReason = webhook_pb2.Webhook.DisabledReason

MOST_PER_ACCOUNT = 20

GIVEN_UP_AFTER = timedelta(days=5)
"""For how long attempts may fail, with no success between, before a webhook is disabled."""


@dataclass(frozen=True)
class Webhook:
    """Where an account wants to be told, and of what. Its secrets are kept apart."""

    id: UUID
    account: str
    url: str
    label: str
    event_types: "tuple[EventType.ValueType, ...]"
    create_time: datetime
    enabled: bool = True
    disabled_reason: "DisabledReason.ValueType" = DisabledReason.DISABLED_REASON_UNSPECIFIED
    old_secret_expire_time: datetime | None = None
    """Until when the secret before the last rotation signs along."""
    failing_since: datetime | None = None
    """The first attempt that failed since the last that did not."""

    def after(self, answer: Answer, now: datetime) -> "Webhook":
        """What an attempt to deliver makes of the webhook."""
        if answer.success:
            return replace(self, failing_since=None)
        failing = replace(self, failing_since=self.failing_since or now)
        if answer.gone:
            return failing.disabled(DisabledReason.GONE)
        if now - (failing.failing_since or now) >= GIVEN_UP_AFTER:
            return failing.disabled(DisabledReason.FAILING)
        return failing

    def disabled(self, reason: "DisabledReason.ValueType") -> "Webhook":
        """The webhook, disabled by us; if its owner was faster, it stays as the owner left it."""
        return replace(self, enabled=False, disabled_reason=reason) if self.enabled else self


class TooManyWebhooks(Exception):  # noqa: N818 - it says what happened
    """The account has as many webhooks as it may."""


class Webhooks(Protocol):
    """Where webhooks are kept."""

    async def add(self, webhook: Webhook, secret: str) -> None:
        """Keeps a new webhook. Raises TooManyWebhooks."""
        ...

    async def find(self, webhook_id: UUID) -> Webhook | None:
        """The webhook with this id."""
        ...

    async def page(self, account: str, after: str, limit: int) -> list[Webhook]:
        """An account's webhooks, newest first, those behind the position `after`."""
        ...

    async def change(
        self,
        webhook_id: UUID,
        change: Callable[[Webhook], Webhook],
        *,
        new_secret: str = "",
    ) -> Webhook | None:
        """Applies a change in one transaction; None when there is none. Raises what it raises.

        With a new secret the present one becomes the old one.
        """
        ...

    async def delete(self, webhook_id: UUID) -> None:
        """Removes a webhook with its deliveries."""
        ...

    async def secrets(self, webhook_id: UUID, now: datetime) -> tuple[str, ...]:
        """What messages are signed with at present, the newest first; empty: no such webhook."""
        ...


def found(webhook: Webhook | None, webhook_id: UUID, account: str | None) -> Webhook:
    """The webhook. Raises ApiError(NOT_FOUND), also when it is another account's.

    `account` is whose it must be; None: anybody's.
    """
    if webhook is None or (account is not None and webhook.account != account):
        raise ApiError(Reason.NOT_FOUND, f"There is no webhook {webhook_id}.")
    return webhook
