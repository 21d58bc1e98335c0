"""What happened, as receivers are told of it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import uuid4

from f2h.server_ops.v1.webhook_pb2 import Webhook

from services.server_ops.operations.operation import Operation
from services.server_ops.operations.states import State

EventType = Webhook.EventType

NAMES: "Mapping[EventType.ValueType, str]" = {
    number: name.lower().replace("_", ".", 1) for name, number in EventType.items()
}
"""The `type` of a message, by the enum: "operation.created"."""

TYPES: "Mapping[str, EventType.ValueType]" = {name: number for number, name in NAMES.items()}

_OF_STATE: "Mapping[State, EventType.ValueType]" = {
    State.PENDING: EventType.OPERATION_CREATED,
    State.SUCCEEDED: EventType.OPERATION_SUCCEEDED,
    State.FAILED: EventType.OPERATION_FAILED,
    State.CANCELLED: EventType.OPERATION_CANCELLED,
}


@dataclass(frozen=True)
class Event:
    """Something that happened in an account."""

    id: str
    """The header webhook-id, the same in every attempt to deliver it."""
    account: str
    type: "EventType.ValueType"
    time: datetime
    data: Mapping[str, str]

    def body(self) -> str:
        """The message: type, timestamp (RFC 3339, UTC) and data, as JSON."""
        time = self.time.astimezone(UTC).isoformat(timespec="milliseconds")
        message = {
            "type": NAMES[self.type],
            "timestamp": time.replace("+00:00", "Z"),
            "data": dict(self.data),
        }
        return json.dumps(message, separators=(",", ":"))


def new_event_id() -> str:
    """An id that no other event has."""
    return f"msg_{uuid4().hex}"


def of_operation(operation: Operation) -> Event | None:
    """What a new or changed operation's state tells; None: nothing."""
    kind = _OF_STATE.get(operation.state)
    if kind is None:
        return None
    data = {
        "operation": operation.name,
        "server": operation.server,
        "kind": str(operation.kind),
        "state": str(operation.state),
    }
    if operation.failure:
        data["reason"] = operation.failure.reason
    time = operation.end_time or operation.create_time
    return Event(new_event_id(), operation.account, kind, time, data)
