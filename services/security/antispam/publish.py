"""Telling an account what happened to its addresses."""

from collections.abc import Mapping
from typing import Protocol


class Publish(Protocol):
    """Tells an account's webhooks. What cannot be told is logged, and not told later."""

    async def __call__(self, account: str, event: str, data: Mapping[str, str]) -> None:
        """`event` is a name of f2h.server_ops.v1.Webhook.EventType; `data` has server and ip."""
        ...
