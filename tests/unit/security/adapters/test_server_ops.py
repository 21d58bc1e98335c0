"""Who asks server_ops for an address does not notice that a process of it dies."""

from typing import Any

import grpc.aio
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from f2h.server_ops.v1 import address_pb2, address_pb2_grpc

from services.runtime.clock import system_clock
from services.runtime.errors import ApiError
from services.runtime.principal import OwnName, PrincipalSigner
from services.security.adapters.server_ops import GrpcInventory
from services.security.bootstrap import ASK_AGAIN

Context = grpc.aio.ServicerContext[Any, Any]


class Dying(address_pb2_grpc.AddressServiceServicer):
    """Breaks off so many calls, and then answers."""

    def __init__(self, times: int) -> None:
        self.left = times
        self.calls = 0

    async def LocateServer(
        self, request: address_pb2.LocateServerRequest, context: Context
    ) -> address_pb2.LocatedServer:
        self.calls += 1
        if self.left:
            self.left -= 1
            await context.abort(grpc.StatusCode.UNAVAILABLE, "Socket closed")
        return address_pb2.LocatedServer(hostname=request.hostname, account="a")

    async def ListAddresses(
        self, _request: address_pb2.ListAddressesRequest, _context: Context
    ) -> address_pb2.ListAddressesResponse:
        raise NotImplementedError


async def located(dying: Dying) -> str:
    server = grpc.aio.server()
    address_pb2_grpc.add_AddressServiceServicer_to_server(dying, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    own_name = OwnName(
        "security", PrincipalSigner(0, Ed25519PrivateKey.generate(), "security"), system_clock
    )
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", (ASK_AGAIN,)) as channel:
            found = await GrpcInventory(channel, own_name).server("ns1.example.net")
    finally:
        await server.stop(None)
    assert found is not None
    return found.hostname


async def test_it_asks_again() -> None:
    dying = Dying(1)
    assert await located(dying) == "ns1.example.net"
    assert dying.calls == 2


async def test_it_says_so_when_nobody_answers() -> None:
    dying = Dying(99)
    with pytest.raises(ApiError, match="does not answer"):
        await located(dying)
    assert dying.calls == 3
