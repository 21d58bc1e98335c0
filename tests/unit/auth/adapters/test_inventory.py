"""The adapter against a real gRPC server that stands in for server_ops."""

import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any

import grpc.aio
import pytest
from f2h.access.v1.reason_pb2 import Reason
from f2h.server_ops.v1 import inventory_pb2, inventory_pb2_grpc

from services.auth.adapters.inventory import DEADLINE_SECONDS, GrpcInventory
from services.auth.bootstrap import CHECKED
from services.auth.keys.key import Owned
from services.runtime.access import Audience, rules
from services.runtime.errors import ApiError
from services.runtime.principal import HEADER, OWN_NAME_SECONDS, PrincipalSigner, PrincipalVerifier
from tests.unit.serving import SIGNING_KEY, new_address

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


class Servers(inventory_pb2_grpc.InventoryServiceServicer):
    """Says that every server whose name starts with "ns" is the account's."""

    def __init__(self) -> None:
        self.asked: list[tuple[inventory_pb2.FilterOwnedRequest, dict[str, Any]]] = []
        self.answer: Callable[[Any], Any] | None = None

    async def FilterOwned(self, request: Any, context: Any) -> Any:
        self.asked.append((request, dict(context.invocation_metadata())))
        if self.answer is not None:
            await self.answer(context)
        owned = [name for name in request.hostnames if name.startswith("ns")]
        return inventory_pb2.FilterOwnedResponse(hostnames=owned, account_servers=7)

    async def _unasked(self, request: Any, context: Any) -> Any:
        raise NotImplementedError

    PutServer = DeleteServer = ListInventory = SetNetboot = _unasked
    PutFailoverIp = DeleteFailoverIp = PutUplink = DeleteUplink = _unasked


@pytest.fixture
def servers() -> Servers:
    return Servers()


@pytest.fixture
async def inventory(servers: Servers) -> AsyncIterator[GrpcInventory]:
    address = new_address()
    server = grpc.aio.server()
    inventory_pb2_grpc.add_InventoryServiceServicer_to_server(servers, server)
    server.add_insecure_port(address)
    await server.start()
    async with grpc.aio.insecure_channel(address) as channel:
        yield GrpcInventory(channel, PrincipalSigner(1, SIGNING_KEY), lambda: NOW)
    await server.stop(None)


async def test_the_accounts_servers_are_told(inventory: GrpcInventory, servers: Servers) -> None:
    hostnames = ["ns1.example.net", "other.example.net", "ns2.example.net"]
    owned = await inventory.owned("demo", hostnames)
    assert owned == Owned(frozenset({"ns1.example.net", "ns2.example.net"}), 7)
    [(request, _)] = servers.asked
    assert (request.account, [*request.hostnames]) == ("demo", hostnames)


async def test_auth_asks_in_its_own_name_as_a_service_that_may(
    inventory: GrpcInventory, servers: Servers
) -> None:
    await inventory.owned("demo", ["ns1.example.net"])
    [(_, metadata)] = servers.asked
    verifier = PrincipalVerifier({1: SIGNING_KEY.public_key()}, lambda: NOW)
    principal = verifier.verify(metadata[HEADER])
    assert (principal.audience, principal.subject) == (Audience.SERVICE, "auth")
    assert (principal.account, principal.policy_digest) == ("", b"")
    assert principal.expire_seconds == int(NOW.timestamp()) + OWN_NAME_SECONDS
    rule = rules(*CHECKED)["/f2h.server_ops.v1.InventoryService/FilterOwned"]
    assert Audience.SERVICE in rule.audiences


async def test_a_silent_server_ops_is_given_up_in_time(
    inventory: GrpcInventory, servers: Servers
) -> None:
    import asyncio

    async def sleep(_context: Any) -> None:
        await asyncio.sleep(30)

    servers.answer = sleep
    start = time.monotonic()
    with pytest.raises(ApiError) as failed:
        await inventory.owned("demo", ["ns1.example.net"])
    assert failed.value.reason == Reason.DEPENDENCY_UNAVAILABLE
    assert time.monotonic() - start < DEADLINE_SECONDS + 1


async def test_no_server_ops_is_a_failure_not_an_empty_answer() -> None:
    async with grpc.aio.insecure_channel(new_address()) as channel:
        inventory = GrpcInventory(channel, PrincipalSigner(1, SIGNING_KEY), lambda: NOW)
        with pytest.raises(ApiError) as failed:
            await inventory.owned("demo", ["ns1.example.net"])
    assert failed.value.reason == Reason.DEPENDENCY_UNAVAILABLE
