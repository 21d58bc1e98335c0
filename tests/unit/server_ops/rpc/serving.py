"""A servicer of server_ops within the layers that every call goes through."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractContextManager, asynccontextmanager
from types import ModuleType
from typing import Any

import grpc
import grpc.aio
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from f2h.access.v1.reason_pb2 import Reason

from services.runtime import server
from services.runtime.access import Audience, Role, rules
from services.runtime.clock import system_clock
from services.runtime.errors import ApiError
from services.runtime.interceptors import Admit, Grant, Identify, Layers, report, validate
from services.runtime.policy import Policy, PolicyCache
from services.runtime.principal import OwnName, PrincipalSigner, PrincipalVerifier
from tests.unit.serving import SIGNING_KEY, Metadata, served, signed, status_of

SERVICE_KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))


def own_name(service: str = "security", key: Ed25519PrivateKey = SERVICE_KEY) -> Metadata:
    """The metadata of a call that a service makes in its own name."""
    return OwnName(service, PrincipalSigner(0, key, service), system_clock).metadata()


async def _nothing() -> None:
    pass


def serve(
    module: ModuleType,
    address: str,
    add: Callable[[grpc.aio.Server], None],
    close: Callable[[], Awaitable[None]] = _nothing,
) -> AbstractContextManager[grpc.aio.Server]:
    """Serves what `add` adds, which is in the module; at the end it is closed."""
    access = rules(module)

    async def fetch(_digest: bytes, _header: str) -> Policy:
        raise ApiError(Reason.DEPENDENCY_UNAVAILABLE, "no policy is needed here")

    @asynccontextmanager
    async def build() -> AsyncIterator[grpc.aio.Server]:
        verifier = PrincipalVerifier(
            {1: SIGNING_KEY.public_key()}, system_clock, {"security": SERVICE_KEY.public_key()}
        )
        identify = Identify(access, verifier, PolicyCache(fetch))
        yield server.build(Layers(report, identify, Admit(access), validate, Grant(access)), add)
        await close()

    return served(build, lambda built: built, address)


STRANGERS = ("CUSTOMER", "SESSION", "STAFF", "NOC", "FORWARDED", "NODE", "PUBLIC")
"""Every kind of caller that is no service of ours."""


def stranger(kind: str) -> Metadata:
    """The metadata of a call of such a caller."""
    return signed(audience=Audience.Value(kind), account="demo", subject="e" * 16, role=Role.OWNER)


def refusal(rpc: Any, request: Any, metadata: Metadata = ()) -> Any:
    """The google.rpc.Status of a refused call."""
    with pytest.raises(grpc.RpcError) as refused:
        rpc(request, metadata=metadata, timeout=10)
    return status_of(refused.value)
