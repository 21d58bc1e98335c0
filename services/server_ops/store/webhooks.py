"""Webhooks in the database, their secrets sealed."""

from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, delete, select
from sqlalchemy.exc import IntegrityError
from sqlmodel import col

from services.runtime.database import Database, utc
from services.runtime.sealing import Sealer
from services.server_ops.store.newest import behind
from services.server_ops.store.tables import WebhookRow
from services.server_ops.webhooks.event import NAMES, TYPES
from services.server_ops.webhooks.webhook import (
    MOST_PER_ACCOUNT,
    DisabledReason,
    TooManyWebhooks,
    Webhook,
)


class SqlWebhooks:
    """Implements Webhooks."""

    def __init__(self, database: Database, sealer: Sealer) -> None:
        self._database = database
        self._sealer = sealer

    async def add(self, webhook: Webhook, secret: str) -> None:
        sealed = self._sealer.seal(owner(webhook.id), secret.encode())
        # Of those that come at the same moment, each takes another place: by constraint.
        while not await self._added(webhook, sealed):
            pass

    async def _added(self, webhook: Webhook, sealed: bytes) -> bool:
        """Whether it was added; False when another took its place. Raises TooManyWebhooks."""
        mine = select(col(WebhookRow.place)).where(col(WebhookRow.account) == webhook.account)
        try:
            async with self._database.write() as session:
                taken = {*(await session.execute(mine)).scalars()}
                free = [place for place in range(MOST_PER_ACCOUNT) if place not in taken]
                if not free:
                    raise TooManyWebhooks
                row = WebhookRow(
                    id=webhook.id,
                    account=webhook.account,
                    place=free[0],
                    secret=sealed,
                    old_secret=None,
                    create_time=webhook.create_time,
                    **columns(webhook),
                )
                session.add(row)
        except IntegrityError:
            return False
        return True

    async def find(self, webhook_id: UUID) -> Webhook | None:
        query = select(WebhookRow).where(col(WebhookRow.id) == webhook_id)
        rows = await self._database.fetch(query)
        return webhook_of(rows[0]) if rows else None

    async def page(self, account: str, after: str, limit: int) -> list[Webhook]:
        query = select(WebhookRow).where(col(WebhookRow.account) == account)
        query = behind(query, col(WebhookRow.create_time), col(WebhookRow.id), after)
        return [webhook_of(row) for row in await self._database.fetch(query.limit(limit))]

    async def change(
        self, webhook_id: UUID, change: Callable[[Webhook], Webhook], *, new_secret: str = ""
    ) -> Webhook | None:
        async with self._database.write() as session:
            row = await session.get(WebhookRow, webhook_id, with_for_update={"key_share": True})
            if row is None:
                return None
            changed = change(webhook_of(row))
            for name, value in columns(changed).items():
                setattr(row, name, value)
            if new_secret:
                row.old_secret = row.secret
                row.secret = self._sealer.seal(owner(webhook_id), new_secret.encode())
        return changed

    async def delete(self, webhook_id: UUID) -> None:
        async with self._database.write() as session:
            await session.execute(delete(WebhookRow).where(col(WebhookRow.id) == webhook_id))

    async def secrets(self, webhook_id: UUID, now: datetime) -> tuple[str, ...]:
        query = select(WebhookRow).where(col(WebhookRow.id) == webhook_id)
        rows = await self._database.fetch(query)
        return secrets_of(rows[0], self._sealer, now) if rows else ()


def owner(webhook_id: UUID) -> str:
    """Whom a webhook's secrets are sealed for: no hostname, for which BMC credentials are."""
    return f"webhook:{webhook_id}"


def secrets_of(
    row: WebhookRow | Row[*tuple[Any, ...]], sealer: Sealer, now: datetime
) -> tuple[str, ...]:
    """What messages are signed with, the newest first."""
    sealed = [row.secret]
    if row.old_secret and row.old_secret_expire_time and utc(row.old_secret_expire_time) > now:
        sealed.append(row.old_secret)
    return tuple(sealer.open(owner(row.id), each).decode() for each in sealed)


def columns(webhook: Webhook) -> dict[str, Any]:
    """What of a webhook can change, as it is stored."""
    return {
        "url": webhook.url,
        "label": webhook.label,
        "event_types": [NAMES[each] for each in webhook.event_types],
        "enabled": webhook.enabled,
        "disabled_reason": DisabledReason.Name(webhook.disabled_reason),
        "old_secret_expire_time": webhook.old_secret_expire_time,
        "failing_since": webhook.failing_since,
    }


def webhook_of(row: WebhookRow | Row[*tuple[Any, ...]]) -> Webhook:
    """The webhook of a row."""
    end = row.old_secret_expire_time
    return Webhook(
        id=row.id,
        account=row.account,
        url=row.url,
        label=row.label,
        event_types=tuple(TYPES[each] for each in row.event_types),
        create_time=utc(row.create_time),
        enabled=row.enabled,
        disabled_reason=DisabledReason.Value(row.disabled_reason),
        old_secret_expire_time=utc(end) if end else None,
        failing_since=utc(row.failing_since) if row.failing_since else None,
    )
