"""Webhooks: managing, trying and delivering."""

import random
import ssl
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from uuid import uuid4

import grpc.aio
from f2h.server_ops.v1 import event_pb2_grpc, webhook_pb2_grpc

from services.runtime.quota import PerMinute
from services.server_ops.adapters.measured import MeasuredSender
from services.server_ops.adapters.webhooks.network import SystemResolver
from services.server_ops.adapters.webhooks.sender import HttpSender
from services.server_ops.bootstrap.ground import Ground
from services.server_ops.rpc.events import EventServicer
from services.server_ops.rpc.webhooks import WebhookServicer, WebhookUseCases
from services.server_ops.store.webhook_deliveries import SqlDeliveries
from services.server_ops.store.webhooks import SqlWebhooks
from services.server_ops.webhooks.deliver import Deliver
from services.server_ops.webhooks.event import TYPES, new_event_id
from services.server_ops.webhooks.manage import ManageWebhooks
from services.server_ops.webhooks.publish import Publish as TellWebhooks
from services.server_ops.webhooks.signing import new_secret
from services.server_ops.webhooks.target import TargetRules
from services.server_ops.webhooks.trial import TESTS_PER_MINUTE, TryWebhook


class Webhooks:
    """What tells customers' own servers of events."""

    def __init__(self, ground: Ground) -> None:
        settings, clock = ground.settings, ground.clock
        webhooks = SqlWebhooks(ground.database, ground.sealer)
        deliveries = SqlDeliveries(ground.database, ground.sealer)
        target_rules = TargetRules(
            settings.webhook_private_networks, settings.webhook_allow_http, settings.webhook_ports
        )
        self._resolving = ThreadPoolExecutor(settings.webhook_at_once, "resolving")
        sender = MeasuredSender(
            HttpSender(target_rules, SystemResolver(self._resolving), ssl.create_default_context()),
            ground.metrics,
        )
        self.deliver = Deliver(
            deliveries,
            sender,
            clock,
            random.random,
            at_once=settings.webhook_at_once,
            timeout_seconds=settings.webhook_timeout_seconds,
        )
        quota = PerMinute(TESTS_PER_MINUTE)
        self._use_cases = WebhookUseCases(
            ManageWebhooks(webhooks, target_rules, clock, uuid4, new_secret),
            TryWebhook(webhooks, sender, quota, clock, new_event_id=new_event_id),
            webhooks,
            deliveries,
        )
        self.tidy = partial(deliveries.tidy, clock)
        self._tell = TellWebhooks(deliveries, clock, new_event_id)

    async def publish(self, account: str, event: str, data: Mapping[str, str]) -> None:
        """See ipmi.check.Publish."""
        await self._tell(account, TYPES[event], data)

    def add_services(self, to: grpc.aio.Server) -> None:
        """Adds what answers calls."""
        webhook_pb2_grpc.add_WebhookServiceServicer_to_server(WebhookServicer(self._use_cases), to)
        event_pb2_grpc.add_EventServiceServicer_to_server(EventServicer(self._tell), to)

    def close(self) -> None:
        """Ends what is being resolved."""
        self._resolving.shutdown(wait=False, cancel_futures=True)
