"""A gRPC server: built, announced healthy, and drained on SIGTERM."""

import asyncio
import gc
import signal
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import cast

import grpc.aio
import structlog
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from services.runtime import mutual_tls
from services.runtime.interceptors import LayeredServer, Layers

MAX_MESSAGE_BYTES = 1024 * 1024

CONNECTION_SECONDS = 3600
"""After how long a client is asked to connect anew: who is not trusted any more is out by then."""

log = structlog.get_logger()


def build(layers: Layers, add_services: Callable[[grpc.aio.Server], None]) -> grpc.aio.Server:
    """A server with the services that `add_services` adds, each within the layers."""
    server = grpc.aio.server(
        options=[
            ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
            # Two processes must not answer on one port by accident: the second one fails to start.
            ("grpc.so_reuseport", 0),
            ("grpc.max_connection_age_ms", CONNECTION_SECONDS * 1000),
        ],
    )
    add_services(cast("grpc.aio.Server", LayeredServer(server, layers)))
    return server


async def serve(
    server: grpc.aio.Server,
    listen: str,
    tls: Path | None,
    services: Iterable[str],
    drain_seconds: float,
) -> None:
    """Serves on `listen` until SIGTERM or SIGINT, then drains.

    `tls` is the folder of its certificate, see services.runtime.certificates; None: in the clear.
    `services` are full names for health and reflection, which stand outside the layers and need
    no principal: they say only whether a service lives and what its contract is.

    While draining, health says NOT_SERVING, new calls are refused, and those under way have
    `drain_seconds` to finish.
    """
    names = [*services]
    checker = health.aio.HealthServicer()  # type: ignore[attr-defined]  # set at import
    health_pb2_grpc.add_HealthServicer_to_server(checker, server)
    reflection.enable_server_reflection(
        [*names, health.SERVICE_NAME, reflection.SERVICE_NAME], server
    )
    if tls is None:
        server.add_insecure_port(listen)
    else:
        server.add_secure_port(listen, mutual_tls.server_credentials(tls))
    # What is here now stays. A search through it for garbage would hold up every call meanwhile.
    gc.freeze()
    await server.start()
    for name in ["", *names]:
        await checker.set(name, health_pb2.HealthCheckResponse.SERVING)
    log.info("serving", listen=listen)

    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    await stopped.wait()
    log.info("draining")
    await checker.enter_graceful_shutdown()
    await server.stop(drain_seconds)
    log.info("stopped")
