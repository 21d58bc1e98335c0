"""The one place that constructs security."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc.aio
from f2h.access.v1.reason_pb2 import Reason
from f2h.security.v1 import antihack_pb2, antihack_pb2_grpc, antispam_pb2, antispam_pb2_grpc

from services.runtime import server
from services.runtime.access import rules
from services.runtime.audit import Audit
from services.runtime.audit_client import AuditClient
from services.runtime.clock import Clock, system_clock
from services.runtime.errors import ApiError
from services.runtime.interceptors import (
    Admit,
    Grant,
    Handler,
    Identify,
    Layers,
    report,
    validate,
)
from services.runtime.policy import PolicyCache
from services.runtime.policy_client import PolicyClient
from services.runtime.principal import PrincipalVerifier
from services.security.settings import SecuritySettings

MODULES = (antihack_pb2, antispam_pb2)

SERVICES = tuple(
    service.full_name
    for module in MODULES
    for service in module.DESCRIPTOR.services_by_name.values()
)


def not_built(path: str, _handler: Handler) -> Handler:
    """Answers in place of a handler that is not built."""

    async def refused(_request: Any, _context: Any) -> Any:
        text = f"{path.rsplit('/', 1)[1]} is part of the contract and not built yet."
        raise ApiError(Reason.NOT_IMPLEMENTED, text)

    return refused


@asynccontextmanager
async def build(
    settings: SecuritySettings, clock: Clock = system_clock
) -> AsyncIterator[grpc.aio.Server]:
    """The server, everything behind it started; all of it is closed at the end."""
    access = rules(*MODULES)
    auth = grpc.aio.insecure_channel(settings.auth)
    identify = Identify(
        access,
        PrincipalVerifier(settings.public_keys(), clock),
        PolicyCache(PolicyClient(auth).fetch),
    )

    audit = Audit(access, AuditClient(auth))

    def add_services(to: grpc.aio.Server) -> None:
        # The generated base classes; no call reaches them, see not_built.
        antihack = antihack_pb2_grpc.AntihackServiceServicer()  # type: ignore[abstract]
        antispam = antispam_pb2_grpc.AntispamServiceServicer()  # type: ignore[abstract]
        antihack_pb2_grpc.add_AntihackServiceServicer_to_server(antihack, to)
        antispam_pb2_grpc.add_AntispamServiceServicer_to_server(antispam, to)

    try:
        layers = Layers(report, identify, audit, Admit(access), validate, Grant(access), not_built)
        yield server.build(layers, add_services)
        await audit.settle()
    finally:
        await auth.close(None)
