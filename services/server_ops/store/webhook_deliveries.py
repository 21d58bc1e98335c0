"""Events and their deliveries in the database: an outbox, and a queue by claims that expire."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import structlog
from sqlalchemy import ColumnElement, Row, Select, delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from services.runtime.clock import Clock
from services.runtime.database import Database, utc
from services.runtime.sealing import SealBroken, Sealer
from services.server_ops.operations.operation import Operation
from services.server_ops.store.newest import behind
from services.server_ops.store.tables import WebhookDeliveryRow, WebhookEventRow, WebhookRow
from services.server_ops.store.webhooks import columns, secrets_of, webhook_of
from services.server_ops.webhooks.answer import Answer, Reason
from services.server_ops.webhooks.delivery import AT_ONCE_TO_ONE, Claimed, Delivery, State
from services.server_ops.webhooks.event import NAMES, TYPES, Event, of_operation
from services.server_ops.webhooks.webhook import Webhook

log = structlog.get_logger()

KEPT_DAYS = 30
"""For how long events and deliveries are kept."""


class SqlDeliveries:
    """Implements Deliveries."""

    def __init__(self, database: Database, sealer: Sealer) -> None:
        self._database = database
        self._sealer = sealer

    async def publish(self, event: Event) -> None:
        async with self._database.write() as session:
            await tell(session, event)

    async def page(self, webhook_id: UUID, after: str, limit: int) -> list[Delivery]:
        query = _with_events().where(col(WebhookDeliveryRow.webhook_id) == webhook_id)
        time, row_id = col(WebhookDeliveryRow.create_time), col(WebhookDeliveryRow.id)
        query = behind(query, time, row_id, after)
        return [_delivery(row) for row in await self._database.fetch(query.limit(limit))]

    async def claim(self, now: datetime, until: datetime, limit: int) -> list[Claimed]:
        due = _due(now)
        # Most looks find nothing, and then nobody is kept from writing.
        if not await self._database.fetch(select(col(WebhookDeliveryRow.id)).where(due).limit(1)):
            return []
        claimed = []
        async with self._database.write() as session:
            # What another process is about to claim is passed over, and what it has claimed since
            # the rows were chosen is no longer due.
            query = (
                select(WebhookDeliveryRow)
                .where(col(WebhookDeliveryRow.id).in_(_chosen(now, limit)), due)
                .with_for_update(skip_locked=True)
            )
            for row in (await session.execute(query)).scalars().all():
                row.claim, row.claim_expire_time = uuid4(), until
                event = await session.get_one(WebhookEventRow, row.event_id)
                webhook = await session.get_one(WebhookRow, row.webhook_id)
                try:
                    secrets = secrets_of(webhook, self._sealer, now)
                except SealBroken:
                    # It stays claimed, and due again afterwards: others are not held up.
                    log.error(
                        "a webhook's signing secret cannot be opened", webhook=str(webhook.id)
                    )
                    continue
                delivery = _delivery_of(row, event.type)
                claimed.append(
                    Claimed(delivery, row.claim, webhook_of(webhook), event.body, secrets)
                )
        return claimed

    async def settle(
        self,
        claimed: Claimed,
        delivery: Callable[[Delivery], Delivery],
        webhook: Callable[[Webhook], Webhook],
    ) -> None:
        async with self._database.write() as session:
            # The webhook first, as whoever deletes it does.
            parent = await session.get(
                WebhookRow, claimed.webhook.id, with_for_update={"key_share": True}
            )
            row = await session.get(WebhookDeliveryRow, claimed.delivery.id, with_for_update=True)
            if parent is None or row is None or row.claim != claimed.claim:
                return
            after = delivery(claimed.delivery)
            row.state, row.attempts = after.state, after.attempts
            row.last_status = after.last.status
            row.last_reason = Reason.Name(after.last.reason)
            row.last_attempt_time = after.last_attempt_time
            row.next_attempt_time = after.next_attempt_time
            row.claim = row.claim_expire_time = None
            before = webhook_of(parent)
            changed = webhook(before)
            if changed != before:
                for name, value in columns(changed).items():
                    setattr(parent, name, value)

    async def forget_old(self, now: datetime) -> None:
        old = col(WebhookEventRow.create_time) < now - timedelta(days=KEPT_DAYS)
        async with self._database.write() as session:
            await session.execute(delete(WebhookEventRow).where(old))

    async def tidy(self, clock: Clock) -> None:
        """Removes what nobody asks for any more."""
        await self.forget_old(clock())


async def tell_of_operation(session: AsyncSession, operation: Operation) -> None:
    """Writes what a new state of an operation tells, in the transaction of that state."""
    event = of_operation(operation)
    if event is not None:
        await tell(session, event)


async def tell(session: AsyncSession, event: Event) -> None:
    """Writes an event and its delivery to every webhook that wants it; nothing when none does."""
    query = (
        select(col(WebhookRow.id), col(WebhookRow.event_types))
        .where(col(WebhookRow.account) == event.account, col(WebhookRow.enabled))
        .with_for_update(read=True, key_share=True)  # none of them is deleted meanwhile
    )
    rows = (await session.execute(query)).all()
    wanted = [row.id for row in rows if NAMES[event.type] in row.event_types]
    if not wanted:
        return
    session.add(
        WebhookEventRow(
            id=event.id, type=NAMES[event.type], body=event.body(), create_time=event.time
        )
    )
    await session.flush()
    for webhook_id in wanted:
        session.add(
            WebhookDeliveryRow(
                id=uuid4(),
                webhook_id=webhook_id,
                event_id=event.id,
                state=State.PENDING,
                attempts=0,
                last_status=0,
                last_reason=Reason.Name(Reason.REASON_UNSPECIFIED),
                create_time=event.time,
                last_attempt_time=None,
                next_attempt_time=event.time,
                claim=None,
                claim_expire_time=None,
            )
        )


def _due(now: datetime) -> ColumnElement[bool]:
    unclaimed = col(WebhookDeliveryRow.claim_expire_time).is_(None)
    return (
        (col(WebhookDeliveryRow.state) == State.PENDING)
        & (col(WebhookDeliveryRow.next_attempt_time) <= now)
        & (unclaimed | (col(WebhookDeliveryRow.claim_expire_time) <= now))
    )


def _chosen(now: datetime, limit: int) -> Select[tuple[UUID]]:
    """Ids of what is to be claimed: each webhook's eldest, as many as it has room for.

    The first of each webhook come before the second of any: a long queue keeps nobody waiting.
    """
    under_way = (
        select(col(WebhookDeliveryRow.webhook_id), func.count().label("number"))
        .where(
            col(WebhookDeliveryRow.state) == State.PENDING,
            col(WebhookDeliveryRow.claim_expire_time) > now,
        )
        .group_by(col(WebhookDeliveryRow.webhook_id))
        .subquery()
    )
    time = col(WebhookDeliveryRow.next_attempt_time)
    webhook_id, row_id = col(WebhookDeliveryRow.webhook_id), col(WebhookDeliveryRow.id)
    place = func.row_number().over(partition_by=webhook_id, order_by=(time, row_id))
    ranked = select(row_id, webhook_id, time, place.label("place")).where(_due(now)).subquery()
    number = func.coalesce(under_way.c.number, 0)
    return (
        select(ranked.c.id)
        .outerjoin(under_way, under_way.c.webhook_id == ranked.c.webhook_id)
        .where(ranked.c.place + number <= AT_ONCE_TO_ONE)
        .order_by(ranked.c.place + number, ranked.c.next_attempt_time)
        .limit(limit)
    )


def _with_events() -> Select[WebhookDeliveryRow, str]:
    return select(WebhookDeliveryRow, col(WebhookEventRow.type)).join(
        WebhookEventRow, col(WebhookEventRow.id) == col(WebhookDeliveryRow.event_id)
    )


def _delivery(row: Row[*tuple[Any, ...]]) -> Delivery:
    return _delivery_of(row, row.type)


def _delivery_of(row: WebhookDeliveryRow | Row[*tuple[Any, ...]], kind: str) -> Delivery:
    return Delivery(
        id=row.id,
        event=row.event_id,
        event_type=TYPES[kind],
        create_time=utc(row.create_time),
        next_attempt_time=utc(row.next_attempt_time) if row.next_attempt_time else None,
        state=State(row.state),
        attempts=row.attempts,
        last=Answer(row.last_status, Reason.Value(row.last_reason)),
        last_attempt_time=utc(row.last_attempt_time) if row.last_attempt_time else None,
    )
