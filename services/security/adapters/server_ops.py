"""Asks server_ops who has which address, and tells it of events, in security's own name."""

from collections.abc import AsyncIterator, Mapping

import grpc.aio
import structlog
from f2h.access.v1.reason_pb2 import Reason
from f2h.server_ops.v1 import address_pb2, address_pb2_grpc, event_pb2, event_pb2_grpc
from f2h.server_ops.v1.webhook_pb2 import Webhook

from services.runtime.errors import ApiError
from services.runtime.principal import OwnName
from services.security.inventory.located import Located, LocatedIp

DEADLINE_SECONDS = 2.0
PAGE_SECONDS = 10.0

log = structlog.get_logger()


class GrpcInventory:
    """Implements Inventory."""

    def __init__(self, channel: grpc.aio.Channel, own_name: OwnName) -> None:
        self._stub: address_pb2_grpc.AddressServiceAsyncStub = address_pb2_grpc.AddressServiceStub(
            channel
        )
        self._own_name = own_name

    async def server(self, hostname: str) -> Located | None:
        """See Inventory."""
        return await self._locate(address_pb2.LocateServerRequest(hostname=hostname))

    async def with_ip(self, ip: str) -> Located | None:
        """See Inventory."""
        return await self._locate(address_pb2.LocateServerRequest(ip=ip))

    async def addresses(self) -> AsyncIterator[LocatedIp]:
        """See Inventory."""
        token = ""
        while True:
            try:
                page = await self._stub.ListAddresses(
                    address_pb2.ListAddressesRequest(page_token=token),
                    metadata=self._own_name.metadata(),
                    timeout=PAGE_SECONDS,
                    wait_for_ready=True,
                )
            except grpc.aio.AioRpcError as error:
                raise _failed(error) from None
            for each in page.addresses:
                yield LocatedIp(each.ip, each.hostname, each.account)
            token = page.next_page_token
            if not token:
                return

    async def _locate(self, request: address_pb2.LocateServerRequest) -> Located | None:
        try:
            answer = await self._stub.LocateServer(
                request,
                metadata=self._own_name.metadata(),
                timeout=DEADLINE_SECONDS,
                wait_for_ready=True,
            )
        except grpc.aio.AioRpcError as error:
            raise _failed(error) from None
        if not answer.hostname:
            return None
        return Located(answer.hostname, answer.account, tuple(answer.ips))


class GrpcEvents:
    """Implements Publish: the account's webhooks are told, if server_ops answers."""

    def __init__(self, channel: grpc.aio.Channel, own_name: OwnName) -> None:
        self._stub: event_pb2_grpc.EventServiceAsyncStub = event_pb2_grpc.EventServiceStub(channel)
        self._own_name = own_name

    async def __call__(self, account: str, event: str, data: Mapping[str, str]) -> None:
        """See Publish."""
        try:
            await self._stub.PublishEvent(
                event_pb2.PublishEventRequest(
                    account=account, type=Webhook.EventType.Value(event), data=data
                ),
                metadata=self._own_name.metadata(),
                timeout=DEADLINE_SECONDS,
                wait_for_ready=True,
            )
        except grpc.aio.AioRpcError as error:
            log.error("event not published", event_type=event, code=error.code().name)


def _failed(error: grpc.aio.AioRpcError) -> ApiError:
    log.error("inventory failed", code=error.code().name)
    text = "The inventory, which knows whose a server is, does not answer."
    return ApiError(Reason.DEPENDENCY_UNAVAILABLE, text, retry_after_seconds=1)
