"""server_ops as a whole: what answers, and what is done beside the calls."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import grpc.aio
from f2h.server_ops.v1 import (
    address_pb2,
    console_pb2,
    console_pb2_grpc,
    event_pb2,
    image_pb2,
    install_pb2,
    inventory_pb2,
    inventory_pb2_grpc,
    ip_pb2,
    ipmi_pb2,
    monitoring_pb2,
    netboot_pb2,
    network_pb2,
    operation_pb2,
    power_pb2,
    ptr_pb2,
    reboot_pb2,
    rescue_pb2,
    router_pb2,
    server_pb2,
    server_pb2_grpc,
    template_pb2,
    webhook_pb2,
)
from sqlalchemy.ext.asyncio import AsyncSession

from services.runtime import mutual_tls, server
from services.runtime.accept import Accept
from services.runtime.access import rules
from services.runtime.audit import Audit
from services.runtime.audit_client import AuditClient
from services.runtime.background import repeated
from services.runtime.clock import Clock, system_clock
from services.runtime.database import Database
from services.runtime.interceptors import Admit, Grant, Identify, Layers, report, validate
from services.runtime.observing import Observe
from services.runtime.outgoing import followed
from services.runtime.policy import PolicyCache
from services.runtime.policy_client import PolicyClient
from services.runtime.principal_client import PrincipalClient
from services.runtime.sealing import Sealer
from services.runtime.standing import Standing
from services.server_ops.adapters.bmc.governor import BmcGovernor, Refused
from services.server_ops.adapters.bmc.leases import RENEW_SECONDS, Leases
from services.server_ops.adapters.bmc.limits import Limits
from services.server_ops.adapters.measured import MeasuredOperations
from services.server_ops.bootstrap.addresses import Addresses
from services.server_ops.bootstrap.ground import Ground
from services.server_ops.bootstrap.ipmi import Ipmi
from services.server_ops.bootstrap.monitoring import Monitoring
from services.server_ops.bootstrap.netboot import Netboot
from services.server_ops.bootstrap.operations import Operating
from services.server_ops.bootstrap.webhooks import Webhooks
from services.server_ops.console.attach import AttachConsole
from services.server_ops.metrics import ServerOpsMetrics
from services.server_ops.operations.operation import Kind, Operation
from services.server_ops.operations.watch import Changes
from services.server_ops.operations.workflow import Act
from services.server_ops.power.change import ChangePower
from services.server_ops.power.chassis import Chassis, Patience
from services.server_ops.reboot.workflow import Reboot
from services.server_ops.rpc.consoles import ConsoleServicer
from services.server_ops.rpc.inventory import InventoryServicer
from services.server_ops.rpc.servers import ServerServicer
from services.server_ops.settings import ServerOpsSettings
from services.server_ops.store import ips, rescues
from services.server_ops.store.leases import SqlLeases
from services.server_ops.store.operations import SqlOperations
from services.server_ops.store.servers import SqlServers
from services.server_ops.store.webhook_deliveries import tell_of_operation

TAKEOVER_SECONDS = 15.0
"""How long a process that takes over after a crash looks for a restart, however late it comes."""

SYNC_LOOK_SECONDS = 1.0
"""Between two looks for servers whose check or measuring is due."""

TAKE_OVER_SECONDS = 3.0
"""Between two looks for operations that nobody runs any more."""

TIDY_SECONDS = 3600.0
"""After how long what nobody asks for any more is removed."""

MODULES = (
    address_pb2,
    console_pb2,
    event_pb2,
    image_pb2,
    install_pb2,
    inventory_pb2,
    ip_pb2,
    ipmi_pb2,
    monitoring_pb2,
    netboot_pb2,
    network_pb2,
    operation_pb2,
    power_pb2,
    ptr_pb2,
    reboot_pb2,
    rescue_pb2,
    router_pb2,
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
    Kind.IP_MOVE: "/f2h.server_ops.v1.IpService/MoveIp",
}
"""The RPC that asks for operations of each kind."""

CALLED_BY: Mapping[str, frozenset[str]] = {
    "auth": frozenset({"/f2h.server_ops.v1.InventoryService/FilterOwned"}),
    "security": frozenset(
        {
            "/f2h.server_ops.v1.AddressService/LocateServer",
            "/f2h.server_ops.v1.AddressService/ListAddresses",
            "/f2h.server_ops.v1.EventService/PublishEvent",
        }
    ),
}
"""What the other services call."""
CAPABILITIES = {kind: ACCESS[path].capability for kind, path in ASKED_BY.items()}
"""What a key needs for it."""

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
    metrics = ServerOpsMetrics(database, clock)
    operations = _operations(database, changes, metrics)
    ground = Ground(settings, database, sealer, servers, operations, clock, metrics)
    webhooks = Webhooks(ground)
    lease_store = SqlLeases(database, settings.instance)
    leases = Leases(lease_store)
    bmc = _governor(settings, servers.bmc_refused, leases, metrics)
    leases.let_go = bmc.let_go
    ipmi = Ipmi(ground, bmc, webhooks.publish)
    chassis = Chassis(
        servers, operations, bmc, clock=clock, patience=_patience(settings), left=ipmi.check.expect
    )
    netboot = Netboot(ground, chassis, TAKEOVER_SECONDS)
    addresses = Addresses(ground)
    monitoring = Monitoring(ground, ipmi)
    acts: dict[Kind, Act] = {
        Kind.REBOOT: Reboot(chassis, clock),
        Kind.POWER: ChangePower(chassis, clock),
        **netboot.acts,
        **addresses.acts,
    }
    operating = Operating(ground, acts, changes, lease_store.living)

    auth = mutual_tls.channel(settings.tls, "auth", settings.auth)
    layers, audit = _layers(settings, followed(auth), metrics, clock)

    def add_services(to: grpc.aio.Server) -> None:
        console_pb2_grpc.add_ConsoleServiceServicer_to_server(
            ConsoleServicer(AttachConsole(servers, bmc)), to
        )
        inventory_pb2_grpc.add_InventoryServiceServicer_to_server(
            InventoryServicer(
                servers,
                netboot.assign,
                ips=addresses.ips,
                uplinks=monitoring.uplinks,
                clock=clock,
            ),
            to,
        )
        operating.add_services(to, CAPABILITIES)
        server_pb2_grpc.add_ServerServiceServicer_to_server(ServerServicer(servers), to)
        addresses.add_services(to, operating.request)
        ipmi.add_services(to)
        monitoring.add_services(to)
        netboot.add_services(to, operating.request, operating.cancel)
        webhooks.add_services(to)

    try:
        await leases.renew()
        operating.launch()
        async with repeated(
            (SYNC_LOOK_SECONDS, ipmi.sync),
            (SYNC_LOOK_SECONDS, monitoring.collect),
            (RENEW_SECONDS, leases.renew),
            (TAKE_OVER_SECONDS, operating.take_over),
            (settings.webhook_poll_seconds, webhooks.deliver),
            (TIDY_SECONDS, webhooks.tidy),
            (TIDY_SECONDS, operating.tidy),
            ran=metrics.ran,
        ):
            with metrics.serve(settings.metrics):
                yield server.build(layers, add_services)
            await audit.settle()
            await webhooks.deliver.close(settings.drain_seconds)
    finally:
        await ipmi.sync.close()
        await monitoring.close()
        webhooks.close()
        await operating.halt()
        await bmc.close()
        await auth.close(None)
        await database.close()
        operating.close()


def _operations(
    database: Database, changes: Changes, metrics: ServerOpsMetrics
) -> MeasuredOperations:
    operations = SqlOperations(database, _follow, changes.tell)
    metrics.watch_operations(operations.unfinished)
    return MeasuredOperations(operations, metrics)


def _governor(
    settings: ServerOpsSettings, refused: Refused, leases: Leases, metrics: ServerOpsMetrics
) -> BmcGovernor:
    bmc = BmcGovernor(
        Limits(workers=settings.bmc_workers),
        refused,
        leases,
        trust=REDFISH_TRUST.get(str(settings.redfish_trust), str(settings.redfish_trust)),
        figures=metrics.bmc,
    )
    metrics.watch_bmcs(
        known=bmc.known, failing=bmc.failing, waiting=bmc.waiting, sessions=bmc.sessions
    )
    return bmc


def _layers(
    settings: ServerOpsSettings, auth: grpc.aio.Channel, metrics: ServerOpsMetrics, clock: Clock
) -> tuple[Layers, Audit]:
    verifier = settings.verifier(clock)
    identify = Identify(ACCESS, verifier, PolicyCache(PolicyClient(auth).fetch))
    audit = Audit(ACCESS, metrics.recording(AuditClient(auth)))
    standing = Standing(PrincipalClient(auth).renew, verifier.verify, clock)
    accept = Accept(ACCESS, CALLED_BY, tls=settings.tls is not None)
    layers = (report, accept, identify, audit, Admit(ACCESS), validate, Grant(ACCESS))
    return Layers(*layers, standing=standing, observe=Observe(metrics.rpcs, ACCESS)), audit


async def _follow(session: AsyncSession, operation: Operation) -> None:
    """What follows from a new state of an operation, in its transaction."""
    await rescues.follow(session, operation)
    await ips.follow(session, operation)
    await tell_of_operation(session, operation)


def _patience(settings: ServerOpsSettings) -> Patience:
    return Patience(
        restart_seconds=settings.restart_seconds,
        takeover_seconds=min(settings.restart_seconds, TAKEOVER_SECONDS),
        poll_seconds=settings.restart_poll_seconds,
    )
