import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text

from services.runtime.database import Database, migrate
from services.runtime.sealing import Sealer
from services.server_ops.__main__ import MIGRATIONS
from services.server_ops.operations.operation import Failure, Fault, begin_step, fail
from services.server_ops.position import position
from services.server_ops.store.operations import SqlOperations
from services.server_ops.store.webhook_deliveries import SqlDeliveries, tell_of_operation
from services.server_ops.store.webhooks import SqlWebhooks
from services.server_ops.webhooks.answer import Answer
from services.server_ops.webhooks.delivery import Claimed, Delivery, State
from services.server_ops.webhooks.event import EventType
from services.server_ops.webhooks.webhook import DisabledReason, TooManyWebhooks, Webhook
from tests.unit.server_ops.store.test_operations import operation
from tests.unit.server_ops.webhooks.samples import NOW, SECRET, event, webhook

LATER = NOW + timedelta(seconds=30)


@dataclass
class Stores:
    database: Database
    webhooks: SqlWebhooks
    deliveries: SqlDeliveries
    operations: SqlOperations

    async def claim(self, now: datetime = NOW, limit: int = 100) -> list[Claimed]:
        return await self.deliveries.claim(now, now + timedelta(seconds=30), limit)

    async def settle(self, claimed: Claimed, status: int, now: datetime = NOW) -> None:
        answer = Answer(status)
        await self.deliveries.settle(
            claimed, lambda d: d.after(answer, now, 0), lambda w: w.after(answer, now)
        )

    async def listed(self, of: Webhook) -> list[Delivery]:
        return await self.deliveries.page(of.id, "", 1000)


def on(database: Database) -> Stores:
    sealer = Sealer({1: bytes(32)})
    return Stores(
        database,
        SqlWebhooks(database, sealer),
        SqlDeliveries(database, sealer),
        SqlOperations(database, tell_of_operation),
    )


@pytest.fixture
async def stores(database_url: str) -> AsyncIterator[Stores]:
    await asyncio.to_thread(migrate, database_url, MIGRATIONS)
    database = Database(database_url)
    yield on(database)
    await database.close()


@pytest.fixture
async def kept(stores: Stores) -> Webhook:
    made = webhook()
    await stores.webhooks.add(made, SECRET)
    return made


async def test_what_is_kept_is_what_is_found_and_its_secret_is_sealed(
    stores: Stores, kept: Webhook
) -> None:
    assert await stores.webhooks.find(kept.id) == kept
    assert await stores.webhooks.find(uuid4()) is None
    assert await stores.webhooks.secrets(kept.id, NOW) == (SECRET,)
    rows = await stores.database.fetch(text("SELECT * FROM webhook"))
    assert SECRET.removeprefix("whsec_") not in repr([tuple(row) for row in rows])


async def test_an_old_secret_signs_along_until_its_end(stores: Stores, kept: Webhook) -> None:
    end = NOW + timedelta(hours=24)
    await stores.webhooks.change(
        kept.id, lambda w: replace(w, old_secret_expire_time=end), new_secret="whsec_bmV3"
    )
    assert await stores.webhooks.secrets(kept.id, end - timedelta(seconds=1)) == (
        "whsec_bmV3",
        SECRET,
    )
    assert await stores.webhooks.secrets(kept.id, end) == ("whsec_bmV3",)


async def test_an_account_has_twenty_at_most_also_when_all_come_at_once(stores: Stores) -> None:
    results = await asyncio.gather(
        *(stores.webhooks.add(webhook(), SECRET) for _ in range(25)), return_exceptions=True
    )
    assert sum(isinstance(result, TooManyWebhooks) for result in results) == 5
    assert len(await stores.webhooks.page("demo", "", 100)) == 20
    await stores.webhooks.add(webhook(account="other"), SECRET)
    [first, *_] = await stores.webhooks.page("demo", "", 1)
    await stores.webhooks.delete(first.id)
    await stores.webhooks.add(webhook(), SECRET)


async def test_pages_are_newest_first_and_without_gaps(stores: Stores) -> None:
    made = [webhook(create_time=NOW + timedelta(seconds=n // 2)) for n in range(5)]
    for each in made:
        await stores.webhooks.add(each, SECRET)
    first = await stores.webhooks.page("demo", "", 2)
    rest = await stores.webhooks.page("demo", position(first[-1]), 10)
    assert {w.id for w in (*first, *rest)} == {w.id for w in made}
    times = [w.create_time for w in (*first, *rest)]
    assert times == sorted(times, reverse=True)
    assert await stores.webhooks.page("other", "", 10) == []


async def test_an_operation_tells_what_becomes_of_it_and_not_that_it_runs(
    stores: Stores,
) -> None:
    types = (EventType.OPERATION_CREATED, EventType.OPERATION_FAILED)
    wants, not_wanting = webhook(event_types=types), webhook(event_types=types[:1])
    for each in (wants, not_wanting, webhook(enabled=False), webhook(account="other")):
        await stores.webhooks.add(each, SECRET)
    accepted, _ = await stores.operations.accept(operation())
    await stores.operations.update(accepted.id, lambda o: begin_step(o, 0, LATER))
    failure = Failure("BMC_REFUSED", "no", Fault.PROVIDER)
    await stores.operations.update(accepted.id, lambda o: fail(o, failure, LATER))
    listed = await stores.listed(wants)
    assert [each.event_type for each in listed] == [types[1], types[0]]
    assert len(await stores.listed(not_wanting)) == 1
    assert len(await stores.database.fetch(text("SELECT id FROM webhook_delivery"))) == 3
    [body] = [c.body for c in await stores.claim(LATER) if c.delivery.event_type == types[1]]
    assert body == (
        '{"type":"operation.failed","timestamp":"2026-01-02T03:04:35.678Z","data":{'
        f'"operation":"{accepted.name}","server":"ns1.example.net","kind":"REBOOT",'
        '"state":"FAILED","reason":"BMC_REFUSED"}}'
    )


async def test_a_refused_operation_tells_nothing(stores: Stores, kept: Webhook) -> None:
    await asyncio.gather(
        *(stores.operations.accept(operation()) for _ in range(20)), return_exceptions=True
    )
    assert len(await stores.listed(kept)) == 1


async def test_an_outbox_that_fails_takes_the_operation_with_it(database_url: str) -> None:
    await asyncio.to_thread(migrate, database_url, MIGRATIONS)
    database = Database(database_url)

    async def full(*_: Any) -> None:
        raise OSError("disk full")

    operations = SqlOperations(database, full)
    with pytest.raises(OSError, match="disk full"):
        await operations.accept(operation())
    assert await operations.unfinished() == []
    await database.close()


async def test_what_is_claimed_is_nobody_elses_until_the_claim_expires(
    stores: Stores, kept: Webhook
) -> None:
    await stores.deliveries.publish(event())
    [first] = await stores.claim()
    assert first.secrets == (SECRET,)
    assert await stores.claim(NOW + timedelta(seconds=29)) == []
    [second] = await stores.claim(NOW + timedelta(seconds=31))
    assert second.delivery == first.delivery
    # Who comes too late changes nothing.
    await stores.settle(first, 500)
    assert await stores.listed(kept) == [second.delivery]
    await stores.settle(second, 200)
    [settled] = await stores.listed(kept)
    assert (settled.state, settled.attempts) == (State.DELIVERED, 1)
    assert await stores.claim(NOW + timedelta(days=1)) == []


async def test_many_processes_never_claim_the_same_nor_too_much_of_one_webhook(
    stores: Stores, database_url: str
) -> None:
    made = [webhook() for _ in range(3)]
    for each in made:
        await stores.webhooks.add(each, SECRET)
    for _ in range(10):
        await stores.deliveries.publish(event())
    others = [Database(database_url) for _ in range(4)]
    results = await asyncio.gather(*(on(other).claim() for other in others))
    for other in others:
        await other.close()
    claimed = [each.delivery.id for result in results for each in result]
    assert len(claimed) == len({*claimed})
    of = [each.webhook.id for result in results for each in result]
    assert all(0 < of.count(each.id) <= 4 for each in made)


async def test_a_long_queue_keeps_no_other_webhook_waiting(stores: Stores, kept: Webhook) -> None:
    for _ in range(50):
        await stores.deliveries.publish(event())
    other = webhook(account="other")
    await stores.webhooks.add(other, SECRET)
    await stores.deliveries.publish(event(account="other", time=LATER))
    claimed = await stores.claim(LATER, limit=2)
    assert {each.webhook.id for each in claimed} == {kept.id, other.id}


async def test_a_failed_attempt_is_repeated_later_and_success_ends_the_failing(
    stores: Stores, kept: Webhook
) -> None:
    await stores.deliveries.publish(event())
    [first] = await stores.claim()
    await stores.settle(first, 500)
    [listed] = await stores.listed(kept)
    assert listed.next_attempt_time == NOW + timedelta(seconds=5)
    assert (listed.attempts, listed.last) == (1, Answer(500))
    found = await stores.webhooks.find(kept.id)
    assert found is not None
    assert found.failing_since == NOW
    assert await stores.claim(NOW + timedelta(seconds=4)) == []
    [again] = await stores.claim(NOW + timedelta(seconds=5))
    assert (again.delivery.event, again.body) == (first.delivery.event, first.body)
    await stores.settle(again, 204)
    assert await stores.webhooks.find(kept.id) == kept


async def test_gone_disables_and_nothing_more_is_kept_for_it(stores: Stores, kept: Webhook) -> None:
    await stores.deliveries.publish(event())
    [claimed] = await stores.claim()
    await stores.settle(claimed, 410)
    found = await stores.webhooks.find(kept.id)
    assert found is not None
    assert (found.enabled, found.disabled_reason) == (False, DisabledReason.GONE)
    await stores.deliveries.publish(event())
    assert [each.state for each in await stores.listed(kept)] == [State.FAILED]


async def test_a_deleted_webhook_takes_its_deliveries_along(stores: Stores, kept: Webhook) -> None:
    await stores.deliveries.publish(event())
    [claimed] = await stores.claim()
    await stores.webhooks.delete(kept.id)
    await stores.settle(claimed, 200)
    assert await stores.database.fetch(text("SELECT id FROM webhook_delivery")) == []


async def test_deliveries_are_kept_for_thirty_days(stores: Stores, kept: Webhook) -> None:
    await stores.deliveries.publish(event())
    await stores.deliveries.forget_old(NOW + timedelta(days=30))
    assert len(await stores.listed(kept)) == 1
    await stores.deliveries.forget_old(NOW + timedelta(days=30, seconds=1))
    assert await stores.listed(kept) == []
    assert await stores.database.fetch(text("SELECT id FROM webhook_event")) == []


async def test_a_secret_that_cannot_be_opened_holds_up_no_other(
    stores: Stores, kept: Webhook
) -> None:
    other = webhook()
    await SqlWebhooks(stores.database, Sealer({9: bytes(32)})).add(other, SECRET)
    await stores.deliveries.publish(event())
    assert [each.webhook.id for each in await stores.claim()] == [kept.id]
