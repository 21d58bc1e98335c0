"""Webhooks and events for tests."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from services.server_ops.webhooks.event import Event, EventType, new_event_id
from services.server_ops.webhooks.signing import new_secret
from services.server_ops.webhooks.webhook import Webhook

NOW = datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)

SECRET = new_secret()


def webhook(**changes: Any) -> Webhook:
    return replace(
        Webhook(
            id=uuid4(),
            account="demo",
            url="https://hooks.example.net/f2h",
            label="pager",
            event_types=(EventType.OPERATION_CREATED, EventType.OPERATION_SUCCEEDED),
            create_time=NOW,
        ),
        **changes,
    )


def event(**changes: Any) -> Event:
    data = {"server": "ns1.example.net"}
    made = Event(new_event_id(), "demo", EventType.OPERATION_SUCCEEDED, NOW, data)
    return replace(made, **changes)
