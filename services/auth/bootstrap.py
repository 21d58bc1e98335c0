"""The one place that constructs auth."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import grpc.aio
from f2h.access.v1 import principal_pb2
from f2h.access.v1.reason_pb2 import Reason
from f2h.auth.v1 import (
    capability_pb2,
    capability_pb2_grpc,
    key_pb2,
    key_pb2_grpc,
    policy_pb2,
    policy_pb2_grpc,
)
from f2h.edge.v1 import authorization_pb2_grpc
from f2h.security.v1 import antihack_pb2, antispam_pb2
from f2h.server_ops.v1 import inventory_pb2, operation_pb2, reboot_pb2, server_pb2

from services.auth.adapters.inventory import GrpcInventory
from services.auth.check.check import Check
from services.auth.keys.create import CreateKey
from services.auth.keys.digests import Digests
from services.auth.keys.key import Inventory
from services.auth.keys.secret import KeyText, generate
from services.auth.rpc.authorization import AuthorizationServicer
from services.auth.rpc.capabilities import CapabilityServicer
from services.auth.rpc.keys import KeyServicer
from services.auth.rpc.policies import PolicyServicer
from services.auth.settings import AuthSettings
from services.auth.store.keys import SqlKeys
from services.runtime import server
from services.runtime.access import rules
from services.runtime.clock import Clock, system_clock
from services.runtime.database import Database
from services.runtime.errors import ApiError
from services.runtime.interceptors import Admit, Grant, Layers, report, validate
from services.runtime.policy import Policy, PolicyCache
from services.runtime.principal import PrincipalSigner, PrincipalVerifier

OWN = (capability_pb2, key_pb2, policy_pb2)
CHECKED = (
    *OWN,
    antihack_pb2,
    antispam_pb2,
    inventory_pb2,
    operation_pb2,
    reboot_pb2,
    server_pb2,
)
"""Everything that can pass the edge. What is missing here cannot be called."""

SERVICES = tuple(
    service.full_name for module in OWN for service in module.DESCRIPTOR.services_by_name.values()
)

AUTHORIZATION_PATH = "/envoy.service.auth.v3.Authorization/Check"


@dataclass(frozen=True)
class Auth:
    """The parts of a built service that its commands and tests use."""

    server: grpc.aio.Server
    create_key: CreateKey
    keys: SqlKeys


@asynccontextmanager
async def build(
    settings: AuthSettings,
    clock: Clock = system_clock,
    inventory: Inventory | None = None,
    new_key_text: Callable[[], KeyText] = generate,
) -> AsyncIterator[Auth]:
    """The service, everything behind it started; all of it is closed at the end."""
    database = Database(settings.database_url)
    keys = SqlKeys(database)
    digests = Digests(settings.peppers)
    signing = settings.principal_signing_key
    signer = PrincipalSigner(signing.number, signing.private())
    server_ops = grpc.aio.insecure_channel(settings.server_ops)
    inventory = inventory or GrpcInventory(server_ops, signer, clock)
    create_key = CreateKey(keys, inventory, digests, clock, generate=new_key_text)
    check = Check(
        rules(*CHECKED),
        keys,
        digests,
        signer,
        clock,
        cache_size=settings.key_cache_size,
        cache_seconds=settings.key_cache_seconds,
    )

    async def policy(digest: bytes, _header: str) -> Policy:
        content = await keys.policy(digest)
        if content is None:
            raise ApiError(Reason.INTERNAL, "A policy is missing.")
        message = principal_pb2.Policy.FromString(content)
        return Policy(message.capabilities, message.servers)

    own = rules(*OWN)
    admit = Admit(
        own,
        PrincipalVerifier(settings.public_keys(), clock),
        PolicyCache(policy),
        open_paths=frozenset({AUTHORIZATION_PATH}),
    )

    def add_services(to: grpc.aio.Server) -> None:
        authorization_pb2_grpc.add_AuthorizationServicer_to_server(AuthorizationServicer(check), to)
        capability_pb2_grpc.add_CapabilityServiceServicer_to_server(CapabilityServicer(), to)
        key_pb2_grpc.add_KeyServiceServicer_to_server(
            KeyServicer(create_key, keys, check.forget, clock), to
        )
        policy_pb2_grpc.add_PolicyServiceServicer_to_server(PolicyServicer(keys), to)

    try:
        built = server.build(Layers(report, admit, validate, Grant(own)), add_services)
        yield Auth(built, create_key, keys)
    finally:
        await server_ops.close(None)
        await database.close()
