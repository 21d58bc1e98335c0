"""Times as protobuf has them."""

from datetime import UTC, datetime

from google.protobuf import timestamp_pb2


def pack(time: datetime | None) -> timestamp_pb2.Timestamp | None:
    """A time as a message; no time as no message."""
    if time is None:
        return None
    message = timestamp_pb2.Timestamp()
    message.FromDatetime(time)
    return message


def unpack(message: timestamp_pb2.Timestamp) -> datetime:
    """A message as a time in UTC."""
    return message.ToDatetime(tzinfo=UTC)
