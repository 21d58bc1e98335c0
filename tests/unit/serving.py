"""A service of ours behind pytest-grpc's fixtures.

pytest-grpc's own server runs handlers in threads and cannot serve async ones. So a conftest
overrides `grpc_server` with a grpc.aio server on the event loop of a thread, made here; channels
and stubs are those of pytest-grpc.
"""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import Any, TypeVar
from uuid import uuid4

import grpc
import grpc.aio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from f2h.access.v1.principal_pb2 import Principal
from google.rpc import error_details_pb2, status_pb2

from services.runtime.clock import system_clock
from services.runtime.principal import HEADER, PrincipalSigner

PATIENCE_SECONDS = 20.0

SIGNING_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
"""What the principals of a test are signed with."""

Metadata = tuple[tuple[str, str], ...]
Built = TypeVar("Built")
Result = TypeVar("Result")


def new_address() -> str:
    """An address that nobody else has and that leaves no file."""
    return f"unix-abstract:f2h-test-{uuid4().hex}"


def signed(**fields: Any) -> Metadata:
    """The metadata of a call by this principal, which holds for half a minute by default."""
    end = int(system_clock().timestamp()) + 30
    principal = Principal(**{"expire_seconds": end, **fields})
    return ((HEADER, PrincipalSigner(1, SIGNING_KEY).sign(principal)),)


@contextmanager
def served(
    build: Callable[[], AbstractAsyncContextManager[Built]],
    server_of: Callable[[Built], grpc.aio.Server],
    address: str,
) -> Iterator[Built]:
    """Builds a service and serves it on the event loop of a thread."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    def run(coroutine: Coroutine[Any, Any, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(coroutine, loop).result(PATIENCE_SECONDS)

    async def start() -> tuple[AbstractAsyncContextManager[Built], Built]:
        context = build()
        built = await context.__aenter__()
        server = server_of(built)
        server.add_insecure_port(address)
        await server.start()
        return context, built

    async def stop() -> None:
        await server_of(built).stop(None)
        await context.__aexit__(None, None, None)

    try:
        context, built = run(start())
        try:
            yield built
        finally:
            run(stop())
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(PATIENCE_SECONDS)
        loop.close()


def status_of(error: grpc.RpcError) -> status_pb2.Status:
    """The google.rpc.Status that a refused call carries; it agrees with the call's own status."""
    assert isinstance(error, grpc.Call)
    trailing = dict(error.trailing_metadata() or ())
    content = trailing["grpc-status-details-bin"]
    assert isinstance(content, bytes)
    status = status_pb2.Status.FromString(content)
    assert (status.code, status.message) == (error.code().value[0], error.details())
    return status


def info_of(status: status_pb2.Status) -> error_details_pb2.ErrorInfo:
    """The one ErrorInfo that a status carries."""
    [packed] = [each for each in status.details if each.Is(error_details_pb2.ErrorInfo.DESCRIPTOR)]
    info = error_details_pb2.ErrorInfo()
    packed.Unpack(info)
    assert info.domain == "f2hcloud"
    return info


def fields_of(status: status_pb2.Status) -> list[str]:
    """The fields that a status says are wrong."""
    violations = error_details_pb2.BadRequest()
    for each in status.details:
        if each.Unpack(violations):
            return [violation.field for violation in violations.field_violations]
    return []
