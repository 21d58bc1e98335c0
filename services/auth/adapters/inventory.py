"""Asks server_ops whose servers are, in auth's own name."""

import grpc.aio
import structlog
from f2h.access.v1.reason_pb2 import Reason
from f2h.server_ops.v1 import inventory_pb2, inventory_pb2_grpc

from services.auth.keys.key import Owned
from services.runtime.clock import Clock
from services.runtime.errors import ApiError
from services.runtime.principal import OwnName, Signer

DEADLINE_SECONDS = 2.0

log = structlog.get_logger()


class GrpcInventory:
    """Implements Inventory."""

    def __init__(self, channel: grpc.aio.Channel, signer: Signer, clock: Clock) -> None:
        self._stub: inventory_pb2_grpc.InventoryServiceAsyncStub = (
            inventory_pb2_grpc.InventoryServiceStub(channel)
        )
        self._own_name = OwnName("auth", signer, clock)

    async def owned(self, account: str, hostnames: list[str]) -> Owned:
        """See Inventory. Raises ApiError(DEPENDENCY_UNAVAILABLE)."""
        try:
            answer = await self._stub.FilterOwned(
                inventory_pb2.FilterOwnedRequest(account=account, hostnames=hostnames),
                metadata=self._own_name.metadata(),
                timeout=DEADLINE_SECONDS,
            )
        except grpc.aio.AioRpcError as error:
            log.error("inventory failed", code=error.code().name)
            text = "The inventory, which knows whose a server is, does not answer."
            raise ApiError(Reason.DEPENDENCY_UNAVAILABLE, text, retry_after_seconds=1) from None
        return Owned(frozenset(answer.hostnames), answer.account_servers)
