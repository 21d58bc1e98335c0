"""The one place that constructs server_ops."""

import random
import ssl
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from uuid import uuid4

import grpc.aio
from f2h.server_ops.v1 import (
    inventory_pb2,
    inventory_pb2_grpc,
    operation_pb2,
    operation_pb2_grpc,
    reboot_pb2,
    reboot_pb2_grpc,
    server_pb2,
    server_pb2_grpc,
    webhook_pb2,
    webhook_pb2_grpc,
)

from services.runtime import server
from services.runtime.access import rules
from services.runtime.audit import Audit
from services.runtime.audit_client import AuditClient
from services.runtime.background import Job, repeated
from services.runtime.clock import Clock, system_clock
from services.runtime.database import Database
from services.runtime.interceptors import Admit, Grant, Identify, Layers, report, validate
from services.runtime.policy import PolicyCache
from services.runtime.policy_client import PolicyClient
from services.runtime.principal import PrincipalVerifier
from services.runtime.quota import PerMinute
from services.runtime.sealing import Sealer
from services.server_ops.adapters.bmc.pyghmi_bmc import Limits, PyghmiBmc
from services.server_ops.adapters.durable import DurableWorkflows
from services.server_ops.adapters.webhooks.network import SystemResolver
from services.server_ops.adapters.webhooks.sender import HttpSender
from services.server_ops.reboot.request import RequestReboot
from services.server_ops.reboot.workflow import Patience, Reboot
from services.server_ops.rpc.inventory import InventoryServicer
from services.server_ops.rpc.operations import OperationServicer
from services.server_ops.rpc.reboots import RebootServicer
from services.server_ops.rpc.servers import ServerServicer
from services.server_ops.rpc.webhooks import WebhookServicer, WebhookUseCases
from services.server_ops.settings import ServerOpsSettings
from services.server_ops.store.operations import SqlOperations
from services.server_ops.store.servers import SqlServers
from services.server_ops.store.webhook_deliveries import SqlDeliveries, tell_of_operation
from services.server_ops.store.webhooks import SqlWebhooks
from services.server_ops.webhooks.deliver import Deliver
from services.server_ops.webhooks.event import new_event_id
from services.server_ops.webhooks.manage import ManageWebhooks
from services.server_ops.webhooks.signing import new_secret
from services.server_ops.webhooks.target import TargetRules
from services.server_ops.webhooks.trial import TESTS_PER_MINUTE, TryWebhook

TAKEOVER_SECONDS = 15.0
"""How long a process that takes over after a crash looks for a restart, however late it comes."""

TIDY_SECONDS = 3600.0
"""After how long what nobody asks for any more is removed."""

MODULES = (inventory_pb2, operation_pb2, reboot_pb2, server_pb2, webhook_pb2)

SERVICES = tuple(
    service.full_name
    for module in MODULES
    for service in module.DESCRIPTOR.services_by_name.values()
)


@asynccontextmanager
async def build(
    settings: ServerOpsSettings, clock: Clock = system_clock
) -> AsyncIterator[grpc.aio.Server]:
    """The server, everything behind it started; all of it is closed at the end."""
    database = Database(settings.database_url)
    sealer = Sealer(settings.bmc_keys)
    servers = SqlServers(database, sealer)
    operations = SqlOperations(database, tell_of_operation)
    bmc = PyghmiBmc(Limits(workers=settings.bmc_workers))
    durable = DurableWorkflows(settings.durable_url, settings.instance)
    patience = Patience(
        restart_seconds=settings.restart_seconds,
        takeover_seconds=min(settings.restart_seconds, TAKEOVER_SECONDS),
        poll_seconds=settings.restart_poll_seconds,
    )
    reboot = Reboot(servers, operations, bmc, durable=durable, clock=clock, patience=patience)
    request_reboot = RequestReboot(servers, operations, durable.start, clock, uuid4)

    webhooks, deliveries = SqlWebhooks(database, sealer), SqlDeliveries(database, sealer)
    target_rules = TargetRules(
        settings.webhook_private_networks, settings.webhook_allow_http, settings.webhook_ports
    )
    resolving = ThreadPoolExecutor(settings.webhook_at_once, "resolving")
    sender = HttpSender(target_rules, SystemResolver(resolving), ssl.create_default_context())
    deliver = Deliver(
        deliveries,
        sender,
        clock,
        random.random,
        at_once=settings.webhook_at_once,
        timeout_seconds=settings.webhook_timeout_seconds,
    )
    use_webhooks = WebhookUseCases(
        ManageWebhooks(webhooks, target_rules, clock, uuid4, new_secret),
        TryWebhook(webhooks, sender, PerMinute(TESTS_PER_MINUTE), clock, new_event_id=new_event_id),
        webhooks,
        deliveries,
    )
    jobs: dict[float, Job] = {
        settings.webhook_poll_seconds: deliver,
        TIDY_SECONDS: partial(deliveries.tidy, clock),
    }

    access = rules(*MODULES)
    auth = grpc.aio.insecure_channel(settings.auth)
    identify = Identify(
        access,
        PrincipalVerifier(settings.public_keys(), clock),
        PolicyCache(PolicyClient(auth).fetch),
    )

    audit = Audit(access, AuditClient(auth))

    def add_services(to: grpc.aio.Server) -> None:
        inventory_pb2_grpc.add_InventoryServiceServicer_to_server(
            InventoryServicer(servers, clock), to
        )
        operation_pb2_grpc.add_OperationServiceServicer_to_server(OperationServicer(operations), to)
        reboot_pb2_grpc.add_RebootServiceServicer_to_server(RebootServicer(request_reboot), to)
        server_pb2_grpc.add_ServerServiceServicer_to_server(ServerServicer(servers), to)
        webhook_pb2_grpc.add_WebhookServiceServicer_to_server(WebhookServicer(use_webhooks), to)

    try:
        durable.launch(reboot.run)
        for operation in await operations.unfinished():
            if await durable.gave_up(operation.id):
                await reboot.give_up(operation.id)
            else:
                await durable.start(operation.id)  # it may have been accepted and not started
        layers = Layers(report, identify, audit, Admit(access), validate, Grant(access))
        async with repeated(jobs):
            yield server.build(layers, add_services)
            await audit.settle()
            await deliver.close(settings.drain_seconds)
    finally:
        resolving.shutdown(wait=False, cancel_futures=True)
        durable.close()
        await bmc.close()
        await auth.close(None)
        await database.close()
