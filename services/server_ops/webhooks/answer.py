"""What came of one attempt to deliver a message."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Protocol

from f2h.server_ops.v1.webhook_pb2 import WebhookDelivery

Reason = WebhookDelivery.Reason


@dataclass(frozen=True)
class Answer:
    """The receiver's answer, or why there was none. Nothing of its content is kept."""

    status: int = 0
    """The HTTP status; 0: there was no answer."""
    reason: "Reason.ValueType" = Reason.REASON_UNSPECIFIED

    @property
    def success(self) -> bool:
        """Whether the receiver took the message: 2xx, nothing else."""
        return HTTPStatus.OK <= self.status < HTTPStatus.MULTIPLE_CHOICES

    @property
    def gone(self) -> bool:
        """Whether the receiver wants no more messages."""
        return self.status == HTTPStatus.GONE


class Sender(Protocol):
    """Sends one message to one URL, once."""

    async def __call__(
        self, url: str, headers: dict[str, str], body: str, seconds: float
    ) -> Answer:
        """What came of it, after so many seconds at most. Raises nothing."""
        ...
