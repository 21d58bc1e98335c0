"""f2h.server_ops.v1.WebhookService."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from f2h.server_ops.v1 import webhook_pb2, webhook_pb2_grpc
from google.protobuf import empty_pb2

from services.runtime import timestamps
from services.runtime.access import Audience
from services.runtime.call import current_caller
from services.runtime.errors import invalid
from services.runtime.paging import encode_token, page_size
from services.server_ops.position import position, position_in
from services.server_ops.webhooks.delivery import Deliveries, Delivery
from services.server_ops.webhooks.manage import ManageWebhooks, WebhookChange, WebhookForm
from services.server_ops.webhooks.trial import TryWebhook
from services.server_ops.webhooks.webhook import Webhook, Webhooks, found


@dataclass(frozen=True)
class WebhookUseCases:
    """What WebhookServicer asks."""

    manage: ManageWebhooks
    test: TryWebhook
    webhooks: Webhooks
    deliveries: Deliveries


class WebhookServicer(webhook_pb2_grpc.WebhookServiceServicer):
    """Makes, shows, changes, tests and removes webhooks."""

    def __init__(self, use: WebhookUseCases) -> None:
        self._use = use

    async def CreateWebhook(
        self, request: webhook_pb2.CreateWebhookRequest, _context: Any
    ) -> webhook_pb2.CreateWebhookResponse:
        """Makes a webhook."""
        form = WebhookForm(
            account=_account_asked(request.account),
            url=request.url,
            label=request.label,
            event_types=tuple(request.event_types),
        )
        webhook, secret = await self._use.manage.create(form)
        return webhook_pb2.CreateWebhookResponse(webhook=_pack(webhook), secret=secret)

    async def ListWebhooks(
        self, request: webhook_pb2.ListWebhooksRequest, _context: Any
    ) -> webhook_pb2.ListWebhooksResponse:
        """A page of an account's webhooks."""
        account, size = _account_asked(request.account), page_size(request.page_size)
        after = position_in(request.page_token)
        read = await self._use.webhooks.page(account, after, size + 1)
        page = read[:size]
        more = len(read) > size
        return webhook_pb2.ListWebhooksResponse(
            webhooks=[_pack(webhook) for webhook in page],
            next_page_token=encode_token(position(page[-1])) if more else "",
        )

    async def GetWebhook(
        self, request: webhook_pb2.GetWebhookRequest, _context: Any
    ) -> webhook_pb2.Webhook:
        """A webhook."""
        return _pack(await self._found(request.id))

    async def UpdateWebhook(
        self, request: webhook_pb2.UpdateWebhookRequest, _context: Any
    ) -> webhook_pb2.Webhook:
        """Changes a webhook."""
        change = _change(request)
        return _pack(await self._use.manage.update(UUID(request.id), _own_account(), change))

    async def DeleteWebhook(
        self, request: webhook_pb2.DeleteWebhookRequest, _context: Any
    ) -> empty_pb2.Empty:
        """Removes a webhook."""
        await self._use.manage.delete(UUID(request.id), _own_account())
        return empty_pb2.Empty()

    async def RotateWebhookSecret(
        self, request: webhook_pb2.RotateWebhookSecretRequest, _context: Any
    ) -> webhook_pb2.CreateWebhookResponse:
        """Gives a webhook a new secret."""
        webhook, secret = await self._use.manage.rotate(UUID(request.id), _own_account())
        return webhook_pb2.CreateWebhookResponse(webhook=_pack(webhook), secret=secret)

    async def TestWebhook(
        self, request: webhook_pb2.TestWebhookRequest, _context: Any
    ) -> webhook_pb2.TestWebhookResponse:
        """Sends a message now."""
        trial = await self._use.test(UUID(request.id), _own_account())
        return webhook_pb2.TestWebhookResponse(
            event=trial.event,
            delivered=trial.answer.success,
            status=trial.answer.status,
            reason=trial.answer.reason,
            milliseconds=round(trial.seconds * 1000),
        )

    async def ListWebhookDeliveries(
        self, request: webhook_pb2.ListWebhookDeliveriesRequest, _context: Any
    ) -> webhook_pb2.ListWebhookDeliveriesResponse:
        """A page of a webhook's deliveries."""
        webhook = await self._found(request.id)
        size, after = page_size(request.page_size), position_in(request.page_token)
        read = await self._use.deliveries.page(webhook.id, after, size + 1)
        page = read[:size]
        more = len(read) > size
        return webhook_pb2.ListWebhookDeliveriesResponse(
            deliveries=[_pack_delivery(delivery) for delivery in page],
            next_page_token=encode_token(position(page[-1])) if more else "",
        )

    async def _found(self, webhook_id: str) -> Webhook:
        parsed = UUID(webhook_id)
        return found(await self._use.webhooks.find(parsed), parsed, _own_account())


def _own_account() -> str | None:
    """The account that the caller may act for; None: any, for the NOC."""
    caller = current_caller()
    return caller.account if caller.principal.audience == Audience.SESSION else None


def _account_asked(given: str) -> str:
    """The account that a call is about: the one given by the NOC, or a signed-in person's own."""
    own = _own_account()
    if own is None:
        if not given:
            raise invalid("account", "is required: say which account it is about")
        return given
    if given not in {"", own}:
        raise invalid("account", f"must be your own account, {own}, or left out")
    return own


def _change(request: webhook_pb2.UpdateWebhookRequest) -> WebhookChange:
    """What the mask names, or what is given when there is no mask."""
    given = {
        "url": request.url or None,
        "label": request.label or None,
        "event_types": tuple(request.event_types) or None,
        "enabled": request.enabled if request.HasField("enabled") else None,
    }
    empty = {"label": "", "event_types": ()}
    named = {*request.update_mask.paths} or {n for n, value in given.items() if value is not None}
    if not named:
        raise invalid("update_mask", "name what to change: url, label, event_types, enabled")
    for name, value in given.items():
        if value is not None and name not in named:
            raise invalid(name, "is given, but update_mask does not name it")
        if value is None and name in named and name not in empty:
            raise invalid(name, "is named by update_mask, but not given")
    values = {name: empty.get(name) if given[name] is None else given[name] for name in named}
    return WebhookChange(**values)  # type: ignore[arg-type]


def _pack(webhook: Webhook) -> webhook_pb2.Webhook:
    return webhook_pb2.Webhook(
        id=str(webhook.id),
        account=webhook.account,
        url=webhook.url,
        label=webhook.label,
        event_types=webhook.event_types,
        enabled=webhook.enabled,
        disabled_reason=webhook.disabled_reason,
        create_time=timestamps.pack(webhook.create_time),
        old_secret_expire_time=timestamps.pack(webhook.old_secret_expire_time),
        failing_since=timestamps.pack(webhook.failing_since),
    )


def _pack_delivery(delivery: Delivery) -> webhook_pb2.WebhookDelivery:
    return webhook_pb2.WebhookDelivery(
        id=str(delivery.id),
        event=delivery.event,
        event_type=delivery.event_type,
        state=webhook_pb2.WebhookDelivery.State.Value(delivery.state),
        attempts=delivery.attempts,
        last_status=delivery.last.status,
        last_reason=delivery.last.reason,
        create_time=timestamps.pack(delivery.create_time),
        last_attempt_time=timestamps.pack(delivery.last_attempt_time),
        next_attempt_time=timestamps.pack(delivery.next_attempt_time),
    )
