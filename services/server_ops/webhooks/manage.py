"""Making and changing webhooks."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from uuid import UUID

from services.runtime.clock import Clock
from services.runtime.errors import invalid
from services.server_ops.webhooks.event import EventType
from services.server_ops.webhooks.target import TargetNotAllowed, TargetRules
from services.server_ops.webhooks.webhook import (
    MOST_PER_ACCOUNT,
    DisabledReason,
    TooManyWebhooks,
    Webhook,
    Webhooks,
    found,
)

OLD_SECRET_LIVES = timedelta(hours=24)
"""For how long a secret signs along after its rotation."""


@dataclass(frozen=True)
class WebhookForm:
    """What a caller asks for."""

    account: str
    url: str
    label: str
    event_types: "tuple[EventType.ValueType, ...]"


@dataclass(frozen=True)
class WebhookChange:
    """What becomes of a webhook; None: as before."""

    url: str | None = None
    label: str | None = None
    event_types: "tuple[EventType.ValueType, ...] | None" = None
    enabled: bool | None = None


class ManageWebhooks:
    """Makes, changes and removes webhooks, and gives them new secrets."""

    def __init__(
        self,
        webhooks: Webhooks,
        rules: TargetRules,
        clock: Clock,
        new_id: Callable[[], UUID],
        new_secret: Callable[[], str],
    ) -> None:
        self._webhooks = webhooks
        self._rules = rules
        self._clock = clock
        self._new_id = new_id
        self._new_secret = new_secret

    async def create(self, form: WebhookForm) -> tuple[Webhook, str]:
        """A new webhook and its secret.

        Raises ApiError(INVALID_REQUEST) for a URL that nothing may be sent to, and for one webhook
        too many.
        """
        self._check(form.url)
        webhook = Webhook(
            id=self._new_id(),
            account=form.account,
            url=form.url,
            label=form.label,
            event_types=tuple(sorted(form.event_types)),
            create_time=self._clock(),
        )
        secret = self._new_secret()
        try:
            await self._webhooks.add(webhook, secret)
        except TooManyWebhooks:
            text = f"has {MOST_PER_ACCOUNT} webhooks, which is the most: delete one first"
            raise invalid("account", text) from None
        return webhook, secret

    async def update(self, webhook_id: UUID, account: str | None, change: WebhookChange) -> Webhook:
        """The changed webhook. `account` is whose it must be; None: anybody's.

        Raises ApiError: NOT_FOUND, INVALID_REQUEST.
        """

        def changed(webhook: Webhook) -> Webhook:
            found(webhook, webhook_id, account)
            return self._changed(webhook, change)

        return found(await self._webhooks.change(webhook_id, changed), webhook_id, account)

    async def rotate(self, webhook_id: UUID, account: str | None) -> tuple[Webhook, str]:
        """The webhook and its new secret; the one before signs along for 24 hours.

        Raises ApiError(NOT_FOUND).
        """
        secret, end = self._new_secret(), self._clock() + OLD_SECRET_LIVES

        def rotated(webhook: Webhook) -> Webhook:
            return replace(found(webhook, webhook_id, account), old_secret_expire_time=end)

        changed = await self._webhooks.change(webhook_id, rotated, new_secret=secret)
        return found(changed, webhook_id, account), secret

    async def delete(self, webhook_id: UUID, account: str | None) -> None:
        """Removes a webhook. Raises ApiError(NOT_FOUND)."""
        found(await self._webhooks.find(webhook_id), webhook_id, account)
        await self._webhooks.delete(webhook_id)

    def _changed(self, webhook: Webhook, change: WebhookChange) -> Webhook:
        if change.url is not None:
            self._check(change.url)
            webhook = replace(webhook, url=change.url)
        if change.label is not None:
            webhook = replace(webhook, label=change.label)
        if change.event_types is not None:
            if not change.event_types:
                raise invalid("event_types", "leave at least one, or disable the webhook")
            webhook = replace(webhook, event_types=tuple(sorted(change.event_types)))
        if change.enabled is not None and change.enabled != webhook.enabled:
            webhook = replace(
                webhook,
                enabled=change.enabled,
                disabled_reason=DisabledReason.DISABLED_REASON_UNSPECIFIED,
                failing_since=None,
            )
        return webhook

    def _check(self, url: str) -> None:
        try:
            self._rules.target(url)
        except TargetNotAllowed as refused:
            raise invalid("url", str(refused)) from None
