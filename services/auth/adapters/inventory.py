"""Asks server_ops whose servers are, in auth's own name."""

import grpc.aio
from f2h.access.v1.principal_pb2 import Principal
from f2h.server_ops.v1 import inventory_pb2, inventory_pb2_grpc

from services.runtime.access import Audience
from services.runtime.clock import Clock
from services.runtime.principal import HEADER, PrincipalSigner

DEADLINE_SECONDS = 2.0
PRINCIPAL_SECONDS = 30


class GrpcInventory:
    """Implements Inventory."""

    def __init__(self, channel: grpc.aio.Channel, signer: PrincipalSigner, clock: Clock) -> None:
        self._stub: inventory_pb2_grpc.InventoryServiceAsyncStub = (
            inventory_pb2_grpc.InventoryServiceStub(channel)
        )
        self._signer = signer
        self._clock = clock

    async def owned(self, account: str, hostnames: list[str]) -> frozenset[str]:
        """See Inventory. That server_ops does not answer is reported by the interceptors."""
        principal = Principal(
            audience=Audience.SERVICE,
            subject="auth",
            expire_seconds=int(self._clock().timestamp()) + PRINCIPAL_SECONDS,
        )
        answer = await self._stub.FilterOwned(
            inventory_pb2.FilterOwnedRequest(account=account, hostnames=hostnames),
            metadata=((HEADER, self._signer.sign(principal)),),
            timeout=DEADLINE_SECONDS,
        )
        return frozenset(answer.hostnames)
