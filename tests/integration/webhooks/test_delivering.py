"""Deliveries from the database to real receivers."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager
from typing import Any
from uuid import uuid4

import pytest

from services.runtime.background import repeated
from services.runtime.clock import system_clock
from services.runtime.database import Database, migrate
from services.runtime.sealing import Sealer
from services.server_ops.__main__ import MIGRATIONS
from services.server_ops.store.webhook_deliveries import SqlDeliveries
from services.server_ops.store.webhooks import SqlWebhooks
from services.server_ops.webhooks.deliver import Deliver
from services.server_ops.webhooks.delivery import State
from services.server_ops.webhooks.event import EventType, new_event_id
from services.server_ops.webhooks.publish import Publish
from services.server_ops.webhooks.webhook import DisabledReason, Webhook
from tests.integration.webhooks.receiver import Receiver
from tests.integration.webhooks.test_sender import sender
from tests.unit.server_ops.webhooks.samples import SECRET, webhook

SEALER = Sealer({1: bytes(32)})
AT_ONCE = 16


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    await asyncio.to_thread(migrate, database_url, MIGRATIONS)
    made = Database(database_url)
    yield made
    await made.close()


@pytest.fixture
def exits() -> Iterator[ExitStack]:
    with ExitStack() as made:
        yield made


@pytest.fixture
def receiver(exits: ExitStack) -> Receiver:
    return exits.enter_context(Receiver())


@asynccontextmanager
async def delivering(
    database: Database, *, timeout_seconds: float = 15.0
) -> AsyncIterator[SqlDeliveries]:
    """A process that delivers."""
    deliveries = SqlDeliveries(database, SEALER)
    deliver = Deliver(
        deliveries,
        sender(),
        system_clock,
        lambda: 0.0,
        at_once=AT_ONCE,
        timeout_seconds=timeout_seconds,
    )
    async with repeated((0.05, deliver)):
        yield deliveries
        await deliver.close(0)


async def subscribed(database: Database, url: str) -> Webhook:
    made = webhook(id=uuid4(), url=url, event_types=(EventType.SERVER_REACHABLE,))
    await SqlWebhooks(database, SEALER).add(made, SECRET)
    return made


async def publish(database: Database) -> None:
    deliveries = SqlDeliveries(database, SEALER)
    data = {"server": "ns1.example.net", "reachability": "CONTACTABLE"}
    await Publish(deliveries, system_clock, new_event_id)("demo", EventType.SERVER_REACHABLE, data)


async def soon(look: Callable[[], Awaitable[Any]], seconds: float = 20) -> Any:
    """What `look` answers as soon as that is true."""
    async with asyncio.timeout(seconds):
        while not (seen := await look()):  # noqa: ASYNC110 - a database tells nobody
            await asyncio.sleep(0.02)
        return seen


async def ended(deliveries: SqlDeliveries, of: Webhook) -> Any:
    """The webhook's deliveries, when none is pending."""

    async def look() -> Any:
        listed = await deliveries.page(of.id, "", 1000)
        return listed if all(each.state != State.PENDING for each in listed) else None

    return await soon(look)


async def test_a_message_is_delivered_and_verified(database: Database, receiver: Receiver) -> None:
    made = await subscribed(database, receiver.url)
    await publish(database)
    async with delivering(database) as deliveries:
        [delivery] = await ended(deliveries, made)
    assert (delivery.state, delivery.attempts, delivery.last.status) == (State.DELIVERED, 1, 204)
    [message] = receiver.messages
    assert message.id == delivery.event
    content = message.verified(SECRET)
    assert content["type"] == "server.reachable"
    assert content["data"] == {"server": "ns1.example.net", "reachability": "CONTACTABLE"}


async def test_after_an_error_it_is_sent_again_with_the_same_id(
    database: Database, receiver: Receiver
) -> None:
    receiver.statuses = [500, 200]
    made = await subscribed(database, receiver.url)
    await publish(database)
    async with delivering(database) as deliveries:
        [delivery] = await ended(deliveries, made)
    assert (delivery.state, delivery.attempts) == (State.DELIVERED, 2)
    first, second = receiver.messages
    assert (first.id, first.body) == (second.id, second.body)
    waited = int(second.headers["webhook-timestamp"]) - int(first.headers["webhook-timestamp"])
    assert 4 <= waited <= 10
    second.verified(SECRET)


async def test_a_receiver_that_is_gone_is_left_alone(
    database: Database, receiver: Receiver
) -> None:
    receiver.statuses = [410]
    made = await subscribed(database, receiver.url)
    for _ in range(8):
        await publish(database)
    async with delivering(database) as deliveries:
        await ended(deliveries, made)
        await publish(database)
    found = await SqlWebhooks(database, SEALER).find(made.id)
    assert found is not None
    assert found.disabled_reason == DisabledReason.GONE
    assert 1 <= len(receiver.messages) <= 4  # those that were under way together


async def test_receivers_that_hang_do_not_hold_up_another(
    database: Database, exits: ExitStack, receiver: Receiver
) -> None:
    hung = [exits.enter_context(Receiver(hangs=True)) for _ in range(3)]
    for each in hung:
        await subscribed(database, each.url)
    made = await subscribed(database, receiver.url)
    for _ in range(12):
        await publish(database)
    async with delivering(database) as deliveries:
        listed = await ended(deliveries, made)
        assert [each.state for each in listed] == [State.DELIVERED] * 12
        assert [len(each.messages) for each in hung] == [4, 4, 4]


async def test_two_processes_deliver_each_message_once(
    database: Database, database_url: str, receiver: Receiver
) -> None:
    made = await subscribed(database, receiver.url)
    for _ in range(40):
        await publish(database)
    other = Database(database_url)
    async with delivering(database) as deliveries, delivering(other):
        await ended(deliveries, made)
    await other.close()
    assert len(receiver.messages) == len({each.id for each in receiver.messages}) == 40


async def test_what_a_process_left_under_way_is_delivered_by_another(
    database: Database, receiver: Receiver
) -> None:
    receiver.hangs = True
    made = await subscribed(database, receiver.url)
    await publish(database)

    async def arrived() -> bool:
        return bool(receiver.messages)

    async with delivering(database, timeout_seconds=1):
        await soon(arrived)  # and its end is never written
    receiver.hangs = False
    async with delivering(database) as deliveries:
        [delivery] = await ended(deliveries, made)
    assert delivery.state == State.DELIVERED
    assert len({each.id for each in receiver.messages}) == 1
    assert len(receiver.messages) == 2


async def test_what_is_disabled_meanwhile_is_not_sent(
    database: Database, receiver: Receiver
) -> None:
    made = await subscribed(database, receiver.url)
    await publish(database)
    webhooks = SqlWebhooks(database, SEALER)
    await webhooks.change(made.id, lambda w: w.disabled(DisabledReason.FAILING))
    async with delivering(database) as deliveries:
        [delivery] = await ended(deliveries, made)
    assert (delivery.state, delivery.attempts) == (State.FAILED, 0)
    assert receiver.messages == []
