"""The one place that constructs server_ops."""

import random
import ssl
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from uuid import uuid4

import grpc.aio
from f2h.server_ops.v1 import (
    console_pb2,
    console_pb2_grpc,
    image_pb2,
    image_pb2_grpc,
    install_pb2,
    install_pb2_grpc,
    inventory_pb2,
    inventory_pb2_grpc,
    ipmi_pb2,
    ipmi_pb2_grpc,
    netboot_pb2,
    netboot_pb2_grpc,
    operation_pb2,
    operation_pb2_grpc,
    power_pb2,
    power_pb2_grpc,
    reboot_pb2,
    reboot_pb2_grpc,
    rescue_pb2,
    rescue_pb2_grpc,
    server_pb2,
    server_pb2_grpc,
    template_pb2,
    template_pb2_grpc,
    webhook_pb2,
    webhook_pb2_grpc,
)
from sqlalchemy.ext.asyncio import AsyncSession

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
from services.runtime.principal_client import PrincipalClient
from services.runtime.quota import PerMinute
from services.runtime.sealing import Sealer
from services.runtime.standing import Standing
from services.server_ops.adapters.bmc.governor import BmcGovernor
from services.server_ops.adapters.bmc.leases import RENEW_SECONDS, Leases
from services.server_ops.adapters.bmc.limits import Limits
from services.server_ops.adapters.crypt import hash_password
from services.server_ops.adapters.durable import DurableWorkflows
from services.server_ops.adapters.webhooks.network import SystemResolver
from services.server_ops.adapters.webhooks.sender import HttpSender
from services.server_ops.bmc.driver import Bmc
from services.server_ops.console.attach import AttachConsole
from services.server_ops.install.template import Templates
from services.server_ops.install.workflow import InstallServer
from services.server_ops.inventory.server import Servers
from services.server_ops.ipmi.check import CheckBmc, Publish
from services.server_ops.ipmi.read import ReadIpmi
from services.server_ops.ipmi.status import BmcStatuses
from services.server_ops.ipmi.sync import SyncPower
from services.server_ops.netboot.answer import AnswerMachines
from services.server_ops.netboot.assign import AssignImage
from services.server_ops.netboot.boot import Netboots
from services.server_ops.netboot.image import ImageFiles, Images
from services.server_ops.netboot.steps import BootPatience, BootSteps
from services.server_ops.operations.cancel import CancelOperation
from services.server_ops.operations.operation import Kind, Operation
from services.server_ops.operations.repository import Operations
from services.server_ops.operations.request import RequestOperation
from services.server_ops.operations.takeover import TakeOver
from services.server_ops.operations.tidy import TidyOperations
from services.server_ops.operations.watch import Changes, WatchOperation
from services.server_ops.operations.workflow import Act, Workflow
from services.server_ops.power.change import ChangePower
from services.server_ops.power.chassis import Chassis, Patience
from services.server_ops.reboot.workflow import Reboot
from services.server_ops.rescue.rescue import Rescues
from services.server_ops.rescue.workflow import EnterRescue, ExitRescue
from services.server_ops.rpc.consoles import ConsoleServicer
from services.server_ops.rpc.images import ImageServicer
from services.server_ops.rpc.installs import InstallServicer
from services.server_ops.rpc.inventory import InventoryServicer
from services.server_ops.rpc.ipmi import IpmiServicer
from services.server_ops.rpc.longrunning import LongrunningServicer
from services.server_ops.rpc.netboots import NetbootServicer
from services.server_ops.rpc.operations import OperationServicer
from services.server_ops.rpc.power import PowerServicer
from services.server_ops.rpc.reboots import RebootServicer
from services.server_ops.rpc.rescues import RescueServicer
from services.server_ops.rpc.servers import ServerServicer
from services.server_ops.rpc.templates import TemplateServicer
from services.server_ops.rpc.webhooks import WebhookServicer, WebhookUseCases
from services.server_ops.settings import ServerOpsSettings
from services.server_ops.store.bmc_statuses import SqlBmcStatuses
from services.server_ops.store.images import SqlImages
from services.server_ops.store.leases import SqlLeases
from services.server_ops.store.netboots import SqlNetboots
from services.server_ops.store.operations import SqlOperations
from services.server_ops.store.rescues import SqlRescues, follow
from services.server_ops.store.servers import SqlServers
from services.server_ops.store.templates import SqlTemplates
from services.server_ops.store.webhook_deliveries import SqlDeliveries, tell_of_operation
from services.server_ops.store.webhooks import SqlWebhooks
from services.server_ops.webhooks.deliver import Deliver
from services.server_ops.webhooks.event import TYPES, new_event_id
from services.server_ops.webhooks.manage import ManageWebhooks
from services.server_ops.webhooks.publish import Publish as TellWebhooks
from services.server_ops.webhooks.signing import new_secret
from services.server_ops.webhooks.target import TargetRules
from services.server_ops.webhooks.trial import TESTS_PER_MINUTE, TryWebhook

TAKEOVER_SECONDS = 15.0
"""How long a process that takes over after a crash looks for a restart, however late it comes."""

SYNC_LOOK_SECONDS = 1.0
"""Between two looks for BMCs whose check is due."""

TAKE_OVER_SECONDS = 3.0
"""Between two looks for operations that nobody runs any more."""

TIDY_SECONDS = 3600.0
"""After how long what nobody asks for any more is removed."""

MODULES = (
    console_pb2,
    image_pb2,
    install_pb2,
    inventory_pb2,
    ipmi_pb2,
    netboot_pb2,
    operation_pb2,
    power_pb2,
    reboot_pb2,
    rescue_pb2,
    server_pb2,
    template_pb2,
    webhook_pb2,
)

REDFISH_TRUST: Mapping[str, bool] = {"system": True, "anybody": False}

ACCESS = rules(*MODULES)

ASKED_BY = {
    Kind.REBOOT: "/f2h.server_ops.v1.RebootService/RebootServer",
    Kind.POWER: "/f2h.server_ops.v1.PowerService/ChangePower",
    Kind.RESCUE_ENTER: "/f2h.server_ops.v1.RescueService/EnterRescue",
    Kind.RESCUE_EXIT: "/f2h.server_ops.v1.RescueService/ExitRescue",
    Kind.INSTALL: "/f2h.server_ops.v1.InstallService/StartInstall",
}
"""The RPC that asks for operations of each kind."""

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
    changes = Changes()
    operations = SqlOperations(database, _follow, changes.tell)
    statuses = SqlBmcStatuses(database)
    webhooks = _webhooks(settings, database, sealer, clock)
    lease_store = SqlLeases(database, settings.instance)
    leases = Leases(lease_store)
    bmc = BmcGovernor(
        Limits(workers=settings.bmc_workers),
        servers.bmc_refused,
        leases,
        trust=REDFISH_TRUST.get(str(settings.redfish_trust), str(settings.redfish_trust)),
    )
    leases.let_go = bmc.let_go
    durable = DurableWorkflows(settings.durable_url, settings.instance)
    ipmi = _ipmi(settings, servers, statuses, bmc, publish=webhooks.publish, clock=clock)
    chassis = Chassis(
        servers,
        operations,
        bmc,
        clock=clock,
        patience=_patience(settings),
        left=ipmi.check.expect,
    )
    netboot = _netboot(settings, _Kept(database, sealer, servers, operations), chassis, clock)
    acts: dict[Kind, Act] = {
        Kind.REBOOT: Reboot(chassis, clock),
        Kind.POWER: ChangePower(chassis, clock),
        **netboot.acts,
    }
    workflow = Workflow(operations, acts, durable, clock)
    take_over = TakeOver(operations, durable, lease_store.living, workflow.give_up, clock)
    request_operation = RequestOperation(servers, operations, durable.start, clock, uuid4)

    auth = grpc.aio.insecure_channel(settings.auth)
    layers, audit = _layers(settings, auth, clock)

    operation_servicer = OperationServicer(
        operations,
        servers,
        WatchOperation(operations, changes),
        CancelOperation(operations, clock),
        {kind: ACCESS[path].capability for kind, path in ASKED_BY.items()},
    )

    def add_services(to: grpc.aio.Server) -> None:
        console_pb2_grpc.add_ConsoleServiceServicer_to_server(
            ConsoleServicer(AttachConsole(servers, bmc)), to
        )
        inventory_pb2_grpc.add_InventoryServiceServicer_to_server(
            InventoryServicer(
                servers, AssignImage(servers, netboot.netboots, netboot.images), clock
            ),
            to,
        )
        ipmi_pb2_grpc.add_IpmiServiceServicer_to_server(
            IpmiServicer(ipmi.read, clock, settings.bmc_failing_after), to
        )
        operation_pb2_grpc.add_OperationServiceServicer_to_server(operation_servicer, to)
        LongrunningServicer(operation_servicer).add_to(to)
        power_pb2_grpc.add_PowerServiceServicer_to_server(PowerServicer(request_operation), to)
        reboot_pb2_grpc.add_RebootServiceServicer_to_server(RebootServicer(request_operation), to)
        netboot.add_services(to, request_operation)
        server_pb2_grpc.add_ServerServiceServicer_to_server(ServerServicer(servers), to)
        webhook_pb2_grpc.add_WebhookServiceServicer_to_server(
            WebhookServicer(webhooks.use_cases), to
        )

    try:
        await leases.renew()
        durable.launch(workflow.run)
        async with repeated(
            (SYNC_LOOK_SECONDS, ipmi.sync),
            (RENEW_SECONDS, leases.renew),
            (TAKE_OVER_SECONDS, take_over),
            (settings.webhook_poll_seconds, webhooks.deliver),
            (TIDY_SECONDS, webhooks.tidy),
            (
                TIDY_SECONDS,
                TidyOperations(operations, durable.forget, clock, settings.operation_age),
            ),
        ):
            yield server.build(layers, add_services)
            await audit.settle()
            await webhooks.deliver.close(settings.drain_seconds)
    finally:
        await ipmi.sync.close()
        webhooks.resolving.shutdown(wait=False, cancel_futures=True)
        await durable.halt()
        await bmc.close()
        await auth.close(None)
        await database.close()
        durable.close()


def _layers(
    settings: ServerOpsSettings, auth: grpc.aio.Channel, clock: Clock
) -> tuple[Layers, Audit]:
    verifier = PrincipalVerifier(settings.public_keys(), clock)
    identify = Identify(ACCESS, verifier, PolicyCache(PolicyClient(auth).fetch))
    audit = Audit(ACCESS, AuditClient(auth))
    standing = Standing(PrincipalClient(auth).renew, verifier.verify, clock)
    layers = (report, identify, audit, Admit(ACCESS), validate, Grant(ACCESS))
    return Layers(*layers, standing=standing), audit


@dataclass(frozen=True)
class _Webhooks:
    use_cases: WebhookUseCases
    deliver: Deliver
    tidy: Job
    publish: Publish
    resolving: ThreadPoolExecutor


def _webhooks(
    settings: ServerOpsSettings, database: Database, sealer: Sealer, clock: Clock
) -> _Webhooks:
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
    use_cases = WebhookUseCases(
        ManageWebhooks(webhooks, target_rules, clock, uuid4, new_secret),
        TryWebhook(webhooks, sender, PerMinute(TESTS_PER_MINUTE), clock, new_event_id=new_event_id),
        webhooks,
        deliveries,
    )
    tell = TellWebhooks(deliveries, clock, new_event_id)

    async def publish(account: str, event: str, data: Mapping[str, str]) -> None:
        await tell(account, TYPES[event], data)

    return _Webhooks(use_cases, deliver, partial(deliveries.tidy, clock), publish, resolving)


async def _follow(session: AsyncSession, operation: Operation) -> None:
    """What follows from a new state of an operation, in its transaction."""
    await follow(session, operation)
    await tell_of_operation(session, operation)


@dataclass(frozen=True)
class _Kept:
    database: Database
    sealer: Sealer
    servers: Servers
    operations: Operations


@dataclass(frozen=True)
class _Netboot:
    settings: ServerOpsSettings
    kept: _Kept
    netboots: Netboots
    images: Images
    files: ImageFiles
    templates: Templates
    rescues: Rescues
    acts: Mapping[Kind, Act]
    clock: Clock

    def add_services(self, to: grpc.aio.Server, request_operation: RequestOperation) -> None:
        settings, clock = self.settings, self.clock
        answer = AnswerMachines(
            self.netboots,
            self.images,
            clock,
            settings.provisioning_url,
            self.rescues.restarted,
        )
        image_pb2_grpc.add_ImageServiceServicer_to_server(
            ImageServicer(self.images, self.files, clock), to
        )
        install_pb2_grpc.add_InstallServiceServicer_to_server(
            InstallServicer(
                request_operation,
                CancelOperation(self.kept.operations, clock),
                templates=self.templates,
                servers=self.kept.servers,
                operations=self.kept.operations,
                netboots=self.netboots,
                clock=clock,
            ),
            to,
        )
        netboot_pb2_grpc.add_NetbootServiceServicer_to_server(
            NetbootServicer(answer, settings.heartbeat_seconds), to
        )
        rescue_pb2_grpc.add_RescueServiceServicer_to_server(
            RescueServicer(
                request_operation,
                servers=self.kept.servers,
                rescues=self.rescues,
                netboots=self.netboots,
                images=self.images,
                default_image=settings.rescue_image,
            ),
            to,
        )
        template_pb2_grpc.add_TemplateServiceServicer_to_server(
            TemplateServicer(self.templates, self.images, self.files, clock), to
        )


def _netboot(settings: ServerOpsSettings, kept: _Kept, chassis: Chassis, clock: Clock) -> _Netboot:
    netboots = SqlNetboots(kept.database, kept.sealer)
    images, templates = SqlImages(kept.database), SqlTemplates(kept.database)
    rescues = SqlRescues(kept.database)
    files = ImageFiles(settings.images)
    patience = BootPatience(
        ready_seconds=settings.rescue_seconds,
        install_seconds=settings.install_seconds,
        heartbeat_seconds=settings.heartbeat_seconds,
        takeover_seconds=min(settings.rescue_seconds, TAKEOVER_SECONDS),
        poll_seconds=settings.restart_poll_seconds,
    )
    boots = BootSteps(netboots, images, files, clock=clock, patience=patience)
    install = InstallServer(
        templates,
        kept.servers,
        netboots,
        chassis=chassis,
        boots=boots,
        patience=patience,
        clock=clock,
    )
    acts: dict[Kind, Act] = {
        Kind.RESCUE_ENTER: EnterRescue(chassis, boots, hash_password),
        Kind.RESCUE_EXIT: ExitRescue(chassis, boots, rescues, clock),
        Kind.INSTALL: install,
    }
    return _Netboot(settings, kept, netboots, images, files, templates, rescues, acts, clock)


def _patience(settings: ServerOpsSettings) -> Patience:
    return Patience(
        restart_seconds=settings.restart_seconds,
        takeover_seconds=min(settings.restart_seconds, TAKEOVER_SECONDS),
        poll_seconds=settings.restart_poll_seconds,
    )


@dataclass(frozen=True)
class _Ipmi:
    check: CheckBmc
    sync: SyncPower
    read: ReadIpmi


def _ipmi(
    settings: ServerOpsSettings,
    servers: Servers,
    statuses: BmcStatuses,
    bmc: Bmc,
    *,
    publish: Publish,
    clock: Clock,
) -> _Ipmi:
    check = CheckBmc(
        servers,
        statuses,
        bmc,
        clock=clock,
        publish=publish,
        failing_after=settings.bmc_failing_after,
    )
    sync = SyncPower(
        statuses,
        check,
        clock=clock,
        interval=timedelta(seconds=settings.sync_seconds),
        at_once=settings.sync_at_once,
    )
    return _Ipmi(check, sync, ReadIpmi(servers, statuses, bmc, check, clock))
