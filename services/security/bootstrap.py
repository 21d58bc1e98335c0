"""The one place that constructs security."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from uuid import uuid4

import grpc.aio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from f2h.security.v1 import (
    antihack_pb2,
    antihack_pb2_grpc,
    antispam_pb2,
    antispam_pb2_grpc,
    gateway_pb2,
    gateway_pb2_grpc,
    spam_block_pb2,
    spam_block_pb2_grpc,
)

from services.runtime import mutual_tls, server
from services.runtime.accept import Accept
from services.runtime.access import rules
from services.runtime.audit import Audit, Recorder
from services.runtime.audit_client import AuditClient
from services.runtime.background import repeated
from services.runtime.clock import Clock, system_clock
from services.runtime.database import Database
from services.runtime.interceptors import Admit, Grant, Identify, Layers, report, validate
from services.runtime.observing import Observe
from services.runtime.outgoing import followed
from services.runtime.policy import PolicyCache
from services.runtime.policy_client import PolicyClient
from services.runtime.principal import OwnName, PrincipalSigner
from services.runtime.settings import host_and_port
from services.security.adapters.dnsbl.blocklist import Dnsbl
from services.security.adapters.fail2ban.client import Fail2banClient
from services.security.adapters.hosts import GatewayHosts
from services.security.adapters.measured import (
    MeasuredBlocklist,
    MeasuredFail2ban,
    MeasuredMailGate,
)
from services.security.adapters.nft_gate import NftGate
from services.security.adapters.server_ops import GrpcEvents, GrpcInventory
from services.security.antihack.bans import Bans
from services.security.antihack.status import ReadAntihack
from services.security.antihack.unban import Unban
from services.security.antihack.watch import WatchBans
from services.security.antispam.block import Blocks
from services.security.antispam.finish import FinishUnblockings
from services.security.antispam.gates import CompareGates, MailGates
from services.security.antispam.listing import Blocklist
from services.security.antispam.manage import ManageBlocks
from services.security.antispam.no_blocklist import NoBlocklist
from services.security.antispam.proven import ProvenBlocklist
from services.security.antispam.rule import AuditedRule
from services.security.antispam.status import ReadAntispam
from services.security.antispam.sweep import Sweep
from services.security.antispam.unblock import RequestUnblock
from services.security.antispam.waiting import doubling
from services.security.metrics import SecurityMetrics
from services.security.rpc.antihack import AntihackServicer
from services.security.rpc.antispam import AntispamServicer
from services.security.rpc.gateways import GatewayServicer
from services.security.rpc.spam_blocks import SpamBlockServicer
from services.security.settings import SecuritySettings
from services.security.store.ban_counts import SqlBanCounts
from services.security.store.blocks import SqlBlocks
from services.security.store.gateways import SqlGateways
from services.security.store.look_ups import SqlLookUps

MODULES = (antihack_pb2, antispam_pb2, gateway_pb2, spam_block_pb2)

SERVICES = tuple(
    service.full_name
    for module in MODULES
    for service in module.DESCRIPTOR.services_by_name.values()
)

LOOK_SECONDS = 0.5
"""Between two looks for unblockings, and for what is due."""

TIDY_SECONDS = 3600.0
"""After how long what nobody asks for any more is removed."""

KEEP_UNBLOCKINGS = timedelta(days=30)
"""For how long an operation is kept after its end."""


ASK_AGAIN = (
    "grpc.service_config",
    json.dumps(
        {
            "methodConfig": [
                {
                    "name": [{"service": "f2h.server_ops.v1.AddressService"}],
                    "retryPolicy": {
                        "maxAttempts": 3,
                        "initialBackoff": "0.05s",
                        "maxBackoff": "0.5s",
                        "backoffMultiplier": 2,
                        "retryableStatusCodes": ["UNAVAILABLE"],
                    },
                }
            ]
        }
    ),
)
"""Who has which address is only read: when the process dies that is asked, another one is."""


@asynccontextmanager
async def build(
    settings: SecuritySettings, clock: Clock = system_clock
) -> AsyncIterator[grpc.aio.Server]:
    """The server, everything behind it started; all of it is closed at the end."""
    database = Database(settings.database_url)
    gateways = SqlGateways(database)
    metrics = SecurityMetrics(database, gateways)
    auth = mutual_tls.channel(settings.tls, "auth", settings.auth)
    server_ops = mutual_tls.channel(settings.tls, "server_ops", settings.server_ops, (ASK_AGAIN,))
    private_key = Ed25519PrivateKey.from_private_bytes(settings.service_key)
    own_name = OwnName("security", PrincipalSigner(0, private_key, "security"), clock)
    inventory = GrpcInventory(followed(server_ops), own_name)
    publish = GrpcEvents(followed(server_ops), own_name)
    recorder = metrics.recording(AuditClient(followed(auth)))
    hosts = GatewayHosts(settings.ssh_key, seconds=settings.gateway_seconds)

    fail2ban = Fail2banClient(
        hosts, seconds=settings.gateway_seconds, waiting=settings.gateway_waiting
    )
    measured = MeasuredFail2ban(fail2ban, metrics)
    bans = Bans(measured, clock)
    counts = SqlBanCounts(database)
    watch = WatchBans(gateways, bans, counts, clock, settings.watch_seconds)

    blocks = SqlBlocks(database)
    dnsbl = _dnsbl(settings, clock) if settings.dnsbl_zone else None
    blocklist: Blocklist = (
        ProvenBlocklist(MeasuredBlocklist(dnsbl, metrics)) if dnsbl else NoBlocklist(clock)
    )
    gates = MailGates(
        gateways, blocks, MeasuredMailGate(NftGate(hosts, settings.nft_command), metrics)
    )
    wait = doubling(
        timedelta(seconds=settings.unblock_wait_seconds),
        timedelta(seconds=settings.unblock_longest_wait_seconds),
    )
    manage = ManageBlocks(inventory, blocks, gates, publish, clock=clock, wait=wait)
    finish = FinishUnblockings(
        blocks, gates, publish, clock, timedelta(seconds=settings.gate_seconds)
    )
    compare = CompareGates(gates, settings.gate_check_seconds)
    sweep = Sweep(
        inventory,
        SqlLookUps(database),
        blocklist,
        publish,
        AuditedRule(
            inventory,
            blocks,
            manage,
            blocklist=blocklist,
            recorder=recorder,
            own_name=own_name,
            block_lists=settings.block_lists,
        ),
        clock=clock,
        interval=timedelta(seconds=settings.sweep_seconds),
        per_second=settings.sweep_per_second,
        block_lists=settings.block_lists,
    )

    layers, audit = _layers(settings, auth, recorder, metrics, clock)

    def add_services(to: grpc.aio.Server) -> None:
        antihack = AntihackServicer(
            inventory,
            ReadAntihack(gateways, bans, counts),
            Unban(gateways, measured, bans, clock),
            clock,
        )
        antihack_pb2_grpc.add_AntihackServiceServicer_to_server(antihack, to)
        antispam = AntispamServicer(
            inventory,
            ReadAntispam(blocks, blocklist),
            RequestUnblock(
                blocks,
                blocklist if dnsbl else None,
                clock,
                uuid4,
                block_lists=settings.block_lists,
            ),
            blocks,
            clock,
        )
        antispam_pb2_grpc.add_AntispamServiceServicer_to_server(antispam, to)
        gateway_pb2_grpc.add_GatewayServiceServicer_to_server(GatewayServicer(gateways), to)
        spam_block_pb2_grpc.add_SpamBlockServiceServicer_to_server(SpamBlockServicer(manage), to)

    try:
        async with repeated(
            (settings.watch_seconds, watch),
            (LOOK_SECONDS, finish),
            (LOOK_SECONDS, compare),
            *(((LOOK_SECONDS, sweep),) if dnsbl else ()),
            (TIDY_SECONDS, watch.tidy),
            (TIDY_SECONDS, partial(_tidy, blocks, clock)),
            at_end=False,
            ran=metrics.ran,
        ):
            with metrics.serve(settings.metrics):
                yield server.build(layers, add_services)
            await audit.settle()
    finally:
        await finish.close()
        await compare.close()
        if dnsbl:
            await dnsbl.close()
        await hosts.close()
        await server_ops.close(None)
        await auth.close(None)
        await database.close()


def _layers(
    settings: SecuritySettings,
    auth: grpc.aio.Channel,
    recorder: Recorder,
    metrics: SecurityMetrics,
    clock: Clock,
) -> tuple[Layers, Audit]:
    access = rules(*MODULES)
    policies = PolicyCache(PolicyClient(followed(auth)).fetch)
    identify = Identify(access, settings.verifier(clock), policies)
    audit = Audit(access, recorder)
    # No other service calls this one.
    accept = Accept(access, {}, tls=settings.tls is not None)
    layers = (report, accept, identify, audit, Admit(access), validate, Grant(access))
    return Layers(*layers, observe=Observe(metrics.rpcs, access)), audit


def _dnsbl(settings: SecuritySettings, clock: Clock) -> Dnsbl:
    resolver = host_and_port(settings.dnsbl_resolver) if settings.dnsbl_resolver else None
    return Dnsbl(settings.dnsbl_zone, resolver, clock, seconds=settings.dnsbl_seconds)


async def _tidy(blocks: Blocks, clock: Clock) -> None:
    await blocks.tidy(clock() - KEEP_UNBLOCKINGS)
