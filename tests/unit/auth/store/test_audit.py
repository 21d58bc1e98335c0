import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from f2h.access.v1.reason_pb2 import Reason
from f2h.auth.v1.audit_pb2 import AuditRecord
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from services.auth.audit.trail import Filter
from services.auth.audit.verify import Whole, verify
from services.auth.store import MIGRATIONS
from services.auth.store.audit import SqlTrail
from services.runtime.access import Audience
from services.runtime.database import Database, migrate
from services.runtime.errors import ApiError

NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
REBOOT = "/f2h.server_ops.v1.RebootService/RebootServer"


class Clock:
    """Goes on by a second every time that it is asked."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    await asyncio.to_thread(migrate, database_url, MIGRATIONS)
    database = Database(database_url)
    yield database
    await database.close()


@pytest.fixture
def trail(database: Database) -> SqlTrail:
    return SqlTrail(database, Clock())


def record(**changes: Any) -> AuditRecord:
    fields = {
        "account": "demo",
        "audience": Audience.CUSTOMER,
        "subject": "e" * 16,
        "address": "203.0.113.4",
        "method": REBOOT,
        "resource": "ns1.example.net",
        "request": "request-1",
    }
    return AuditRecord(**{**fields, **changes})


def said(**changes: Any) -> AuditRecord:
    """What the caller of `record` says came of it."""
    fields = {
        "audience": Audience.CUSTOMER,
        "subject": "e" * 16,
        "outcome": AuditRecord.ACCEPTED,
    }
    return AuditRecord(**{**fields, **changes})


async def listed(trail: SqlTrail, **wanted: Any) -> list[int]:
    page = await trail.page(Filter(**{"account": "demo", **wanted}), None, 100)
    return [each.sequence for each in page]


async def refused(trail: SqlTrail, record: AuditRecord, attempt: int) -> "Reason.ValueType":
    with pytest.raises(ApiError) as error:
        await trail.append(record, attempt)
    return error.value.reason


# --- Keeping


async def test_what_is_kept_is_what_is_listed(trail: SqlTrail) -> None:
    kept = record(outcome=AuditRecord.REFUSED, reason="CREDENTIAL_INVALID", operation="o")
    assert await trail.append(kept) == 1
    [found] = await trail.page(Filter("demo"), None, 10)
    assert found.time.ToDatetime(UTC) == NOW + timedelta(seconds=1)
    kept.sequence = 1
    kept.time.CopyFrom(found.time)
    assert found == kept


async def test_the_record_that_is_given_stays_as_it_is(trail: SqlTrail) -> None:
    given = record()
    await trail.append(given)
    assert given == record()


async def test_a_text_that_a_database_cannot_keep_is_kept_without_its_zero_bytes(
    trail: SqlTrail,
) -> None:
    await trail.append(record(subject="a\0b"))
    [found] = await trail.page(Filter("demo"), None, 10)
    assert found.subject == "a\N{REPLACEMENT CHARACTER}b"
    assert isinstance(await verify(trail), Whole)


async def test_the_checkpoint_is_of_the_newest_record(trail: SqlTrail) -> None:
    empty = await trail.checkpoint()
    assert (empty.sequence, empty.hash) == (0, "0" * 64)
    await trail.append(record())
    before = await trail.checkpoint()
    await trail.append(record())
    after = await trail.checkpoint()
    assert (before.sequence, after.sequence) == (1, 2)
    assert before.hash != after.hash
    assert before.HasField("time")
    found = await verify(trail, before)
    assert isinstance(found, Whole)
    assert found.hash.hex() == after.hash


async def test_records_of_many_writers_at_once_are_one_chain(
    database: Database, database_url: str
) -> None:
    other = Database(database_url)
    trails = [SqlTrail(database, Clock()), SqlTrail(other, Clock())]
    sequences = await asyncio.gather(
        *(trails[number % 2].append(record(subject=str(number))) for number in range(50))
    )
    outcomes = await asyncio.gather(
        *(
            trails[number % 3 % 2].append(said(subject=str(number)), sequence)
            for number, sequence in enumerate(sequences)
        )
    )
    assert sorted(sequences) == [*range(1, 51)]
    assert sorted(outcomes) == [*range(51, 101)]
    found = await verify(trails[0], await trails[1].checkpoint())
    assert isinstance(found, Whole)
    assert found.records == 100
    await other.close()


async def test_a_writer_that_gives_up_does_not_keep_others_from_writing(trail: SqlTrail) -> None:
    appends = [asyncio.create_task(trail.append(record())) for _ in range(10)]
    await asyncio.wait(appends[:1], timeout=0)
    for each in appends[::2]:
        each.cancel()
    kept = await asyncio.gather(*appends, return_exceptions=True)
    assert all(isinstance(answer, int) for answer in kept[1::2])
    assert isinstance(await verify(trail), Whole)


async def test_what_is_not_kept_raises_for_everybody_who_waits(
    trail: SqlTrail, database: Database
) -> None:
    async with database.write() as session:
        await session.execute(text("ALTER TABLE audit RENAME TO away"))
    results = await asyncio.gather(
        *(trail.append(record()) for _ in range(5)), return_exceptions=True
    )
    assert all(isinstance(each, DBAPIError) for each in results)
    async with database.write() as session:
        await session.execute(text("ALTER TABLE away RENAME TO audit"))
    assert await trail.append(record()) == 1


async def test_without_a_head_nothing_is_kept(trail: SqlTrail, database: Database) -> None:
    async with database.write() as session:
        await session.execute(text("DELETE FROM audit_head"))
    with pytest.raises(Exception, match=r"(?i)no row"):
        await trail.append(record())
    assert await listed(trail) == []


@pytest.mark.parametrize(
    "change", ["UPDATE audit SET account = 'other'", "DELETE FROM audit WHERE sequence = 1"]
)
async def test_the_database_refuses_to_change_a_record(
    trail: SqlTrail, database: Database, change: str
) -> None:
    await trail.append(record())
    with pytest.raises(DBAPIError, match="audit is only added to"):
        async with database.write() as session:
            await session.execute(text(change))
    assert await listed(trail) == [1]


# --- What came of it


async def test_an_attempt_is_listed_with_what_came_of_it(trail: SqlTrail) -> None:
    attempt = await trail.append(record())
    [before] = await trail.page(Filter("demo"), None, 10)
    assert before.outcome == AuditRecord.OUTCOME_UNSPECIFIED
    await trail.append(said(operation="operations/1"), attempt)
    [after] = await trail.page(Filter("demo"), None, 10)
    before.outcome = AuditRecord.ACCEPTED
    before.operation = "operations/1"
    assert after == before


async def test_what_was_made_is_what_it_was_done_to(trail: SqlTrail) -> None:
    unnamed = await trail.append(record(resource=""))
    named = await trail.append(record())
    await trail.append(said(resource="made"), unnamed)
    await trail.append(said(resource="made"), named)
    page = await trail.page(Filter("demo"), None, 10)
    assert [each.resource for each in page] == ["ns1.example.net", "made"]
    assert isinstance(await verify(trail), Whole)


async def test_an_outcome_is_recorded_once(trail: SqlTrail) -> None:
    attempt = await trail.append(record())
    await trail.append(said(), attempt)
    again = said(outcome=AuditRecord.REFUSED)
    assert await refused(trail, again, attempt) == Reason.ALREADY_EXISTS
    assert (await trail.page(Filter("demo"), None, 10))[0].outcome == AuditRecord.ACCEPTED


async def test_an_outcome_that_comes_many_times_at_once_is_recorded_once(trail: SqlTrail) -> None:
    attempt = await trail.append(record())
    results = await asyncio.gather(
        *(trail.append(said(), attempt) for _ in range(10)),
        trail.append(record()),
        return_exceptions=True,
    )
    assert len([each for each in results if isinstance(each, int)]) == 2
    assert isinstance(await verify(trail), Whole)


@pytest.mark.parametrize(
    "somebody_else", [{"subject": "f" * 16}, {"audience": Audience.SESSION}, {"subject": ""}]
)
async def test_an_outcome_of_somebody_elses_attempt_is_refused(
    trail: SqlTrail, somebody_else: dict[str, Any]
) -> None:
    attempt = await trail.append(record())
    assert await refused(trail, said(**somebody_else), attempt) == Reason.NOT_FOUND
    assert (await trail.checkpoint()).sequence == 1


async def test_an_outcome_of_no_attempt_is_refused(trail: SqlTrail) -> None:
    attempt = await trail.append(record())
    outcome = await trail.append(said(), attempt)
    both = await trail.append(record(outcome=AuditRecord.REFUSED))
    for number in (0, -1, outcome, both, 99, 2**62):
        assert await refused(trail, said(), number) == Reason.NOT_FOUND
    assert (await trail.checkpoint()).sequence == 3


# --- Listing


async def test_pages_are_the_accounts_records_newest_first(trail: SqlTrail) -> None:
    attempts = [await trail.append(record()) for _ in range(3)]
    await trail.append(record(account="other"))
    for attempt in attempts[:2]:
        await trail.append(said(), attempt)
    assert await listed(trail) == [3, 2, 1]
    assert await listed(trail, account="other") == [4]
    assert await listed(trail, account="") == []
    assert [each.sequence for each in await trail.page(Filter("demo"), None, 2)] == [3, 2]
    assert [each.sequence for each in await trail.page(Filter("demo"), 2, 2)] == [1]
    assert await trail.page(Filter("demo"), 1, 2) == []


async def test_what_belongs_to_no_account_is_listed_by_itself(trail: SqlTrail) -> None:
    await trail.append(record(account=""))
    await trail.append(record())
    assert await listed(trail, account="") == [1]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({"subject": "f" * 16}, [2]),
        ({"resource": "ns2.example.net"}, [3]),
        ({"resource": "made"}, [4]),
        ({"method": "CreateKey"}, [4]),
        ({"method": "/f2h.auth.v1.KeyService/CreateKey"}, [4]),
        ({"method": "create-account"}, [5]),
        ({"method": "createkey"}, []),
        ({"method": "CreateK%"}, []),
        ({"method": "Key"}, []),
        ({"method": "x" * 200}, []),
        ({"outcome": AuditRecord.ACCEPTED}, [5, 4, 1]),
        ({"outcome": AuditRecord.REFUSED}, [3]),
        ({"outcome": AuditRecord.FAILED}, []),
        ({"start": NOW + timedelta(seconds=4)}, [5, 4]),
        ({"end": NOW + timedelta(seconds=2)}, [1]),
        ({"start": NOW + timedelta(seconds=2), "end": NOW + timedelta(seconds=3)}, [2]),
        ({"outcome": AuditRecord.ACCEPTED, "resource": "ns1.example.net"}, [1]),
    ],
)
async def test_a_filter_is_on_the_attempt_together_with_its_outcome(
    trail: SqlTrail, wanted: dict[str, Any], found: list[int]
) -> None:
    await trail.append(record())
    await trail.append(record(subject="f" * 16))
    await trail.append(record(resource="ns2.example.net", outcome=AuditRecord.REFUSED))
    await trail.append(record(resource="", method="/f2h.auth.v1.KeyService/CreateKey"))
    await trail.append(record(resource="", method="create-account", outcome=AuditRecord.ACCEPTED))
    await trail.append(said(), 1)
    await trail.append(said(resource="made"), 4)
    assert await listed(trail, **wanted) == found
