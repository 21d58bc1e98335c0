"""f2h.server_ops.v1.EventService."""

from typing import Any

from f2h.server_ops.v1 import event_pb2, event_pb2_grpc
from google.protobuf import empty_pb2

from services.server_ops.webhooks.publish import Publish


class EventServicer(event_pb2_grpc.EventServiceServicer):
    """Passes on what our other services tell of."""

    def __init__(self, publish: Publish) -> None:
        self._publish = publish

    async def PublishEvent(
        self, request: event_pb2.PublishEventRequest, _context: Any
    ) -> empty_pb2.Empty:
        """Keeps the event for the webhooks of the account."""
        await self._publish(request.account, request.type, request.data)
        return empty_pb2.Empty()
