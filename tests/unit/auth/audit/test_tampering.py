"""Promise 10 on real databases: whatever is changed behind the service's back is found."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from f2h.access.v1.rule_pb2 import AccessRule
from f2h.auth.v1.audit_pb2 import AuditRecord

from services.auth.audit.verify import Broken, Whole, verify
from services.auth.store import MIGRATIONS
from services.auth.store.audit import SqlTrail
from services.runtime.database import Database, migrate

NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
COLUMNS = (
    *("sequence", "attempt", "time", "account", "subject", "method", "resource", "outcome"),
    *("content", "hash"),
)
TEXTS = ("time", "account", "subject", "method", "resource")
BITS = (0x01, 0x20, 0x80)


class Intruder:
    """Somebody with all rights on the database."""

    def __init__(self, url: str) -> None:
        self.sqlite = url.startswith("sqlite")
        self._connection: Any
        if self.sqlite:
            self._connection = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
            self._connection.execute("PRAGMA synchronous = OFF")
            for change in ("update", "delete"):
                self.execute(f"DROP TRIGGER audit_no_{change}")
        else:
            self._connection = psycopg.connect(url, autocommit=True)
            self.execute("DROP TRIGGER audit_only_added ON audit")

    def execute(self, statement: str, *values: object) -> list[Any]:
        """Runs a statement, whose values are written as "?"."""
        if not self.sqlite:
            statement = statement.replace("?", "%s")
        found = self._connection.execute(statement, values)
        return found.fetchall() if found.description else []

    def close(self) -> None:
        self._connection.close()

    def read(self, sequence: int, column: str) -> Any:
        """What a column of a row holds, in the driver's form."""
        query = f"SELECT {column} FROM audit WHERE sequence = ?"
        return self.execute(query, sequence)[0][0]

    def write(self, sequence: int, column: str, value: object) -> bool:
        """Changes a column of a row, unless the database does not let anybody do that."""
        # What is no UTF-8 is bytes here; in the database it becomes text.
        form = "CAST(? AS TEXT)" if self.sqlite and column in TEXTS else "?"
        query = f"UPDATE audit SET {column} = {form} WHERE sequence = ?"
        try:
            self.execute(query, value, sequence)
        except (sqlite3.IntegrityError, psycopg.IntegrityError, psycopg.DataError):
            return False
        return True


def flips(old: Any) -> Iterator[Any]:
    """Every value with one byte changed, three times."""
    if old is None:
        yield from (0, 1, 2, 1 << 40)
    elif isinstance(old, int):
        yield from (old ^ (bit << shift) for shift in (0, 8, 16, 24, 48) for bit in (1, 2, 0x40))
    elif isinstance(old, datetime):
        yield from (old + timedelta(microseconds=256**number) for number in range(6))
    else:
        content = old.encode() if isinstance(old, str) else old
        for at in range(len(content)):
            for bit in BITS:
                changed = content[:at] + bytes([content[at] ^ bit]) + content[at + 1 :]
                yield changed
        if isinstance(old, str):
            yield content + b" "


@pytest.fixture
async def trail(database_url: str) -> AsyncIterator[SqlTrail]:
    await asyncio.to_thread(migrate, database_url, MIGRATIONS)
    database = Database(database_url)
    times = iter(NOW + timedelta(seconds=number) for number in range(100))
    trail = SqlTrail(database, lambda: next(times))
    await fill(trail)
    yield trail
    await database.close()


@pytest.fixture
def intruder(trail: SqlTrail, database_url: str) -> Iterator[Intruder]:
    intruder = Intruder(database_url)
    yield intruder
    intruder.close()


def record(**changes: Any) -> AuditRecord:
    fields = {
        "account": "demo",
        "audience": AccessRule.CUSTOMER,
        "subject": "e" * 16,
        "address": "203.0.113.4",
        "method": "/f2h.server_ops.v1.RebootService/RebootServer",
        "resource": "ns1.example.net",
        **changes,
    }
    return AuditRecord(**fields)


async def fill(trail: SqlTrail) -> None:
    """Five records: attempts, an outcome, and what is both; one attempt has no end."""
    await trail.append(record())
    await trail.append(record(account="other"))
    await trail.append(record(outcome=AuditRecord.ACCEPTED, operation="operations/1"), 1)
    await trail.append(record(outcome=AuditRecord.REFUSED, reason="KEY_REVOKED"))
    await trail.append(record(account="", resource=""))


@pytest.mark.parametrize("sequence", range(1, 6))
@pytest.mark.parametrize("column", COLUMNS)
async def test_any_flipped_byte_is_found_and_its_record_named(
    trail: SqlTrail, intruder: Intruder, sequence: int, column: str
) -> None:
    old = intruder.read(sequence, column)
    done = 0
    for new in flips(old):
        # PostgreSQL keeps text that is text.
        value = new
        if not intruder.sqlite and isinstance(old, str):
            value = new.decode(errors="replace")
        if not intruder.write(sequence, column, value):
            continue
        done += 1
        moved = new if column == "sequence" else sequence
        found = await verify(trail)
        assert isinstance(found, Broken), (old, new)
        assert found.record == min(sequence, moved), (old, new)
        assert intruder.write(moved, column, old)
    # The empty resource and account have no byte; one is added to them, and that is found.
    assert done
    assert isinstance(await verify(trail), Whole)


@pytest.mark.parametrize("sequence", range(1, 6))
async def test_any_removed_record_is_named(
    trail: SqlTrail, intruder: Intruder, sequence: int
) -> None:
    intruder.execute("DELETE FROM audit WHERE sequence = ?", sequence)
    found = await verify(trail)
    assert isinstance(found, Broken)
    assert found.record == sequence


@pytest.mark.parametrize("first", range(1, 5))
async def test_records_that_change_places_are_found(
    trail: SqlTrail, intruder: Intruder, first: int
) -> None:
    for before, after in ((first, 99), (first + 1, first), (99, first + 1)):
        assert intruder.write(before, "sequence", after)
    found = await verify(trail)
    assert isinstance(found, Broken)
    assert found.record == first


async def test_a_record_that_is_put_before_the_first_is_found(
    trail: SqlTrail, intruder: Intruder
) -> None:
    columns = ", ".join(COLUMNS[2:])
    intruder.execute(
        f"INSERT INTO audit (sequence, {columns})"
        f" SELECT -7, {columns} FROM audit WHERE sequence = ?",
        1,
    )
    found = await verify(trail)
    assert isinstance(found, Broken)
    assert found.record == -7


async def test_a_tail_that_is_cut_with_the_head_is_found_by_a_checkpoint_from_elsewhere(
    trail: SqlTrail, intruder: Intruder
) -> None:
    checkpoint = await trail.checkpoint()
    assert isinstance(await verify(trail, checkpoint), Whole)
    intruder.execute("DELETE FROM audit WHERE sequence > ?", 3)
    found = await verify(trail)
    assert isinstance(found, Broken)
    assert found.record == 4
    last = intruder.read(3, "hash")
    intruder.execute("UPDATE audit_head SET sequence = 3, hash = ?", last)
    assert isinstance(await verify(trail), Whole)
    found = await verify(trail, checkpoint)
    assert isinstance(found, Broken)
    assert found.record == 4


async def test_a_trail_that_is_written_anew_is_found_by_a_checkpoint_from_elsewhere(
    trail: SqlTrail, intruder: Intruder
) -> None:
    checkpoint = await trail.checkpoint()
    intruder.execute("DELETE FROM audit")
    intruder.execute("UPDATE audit_head SET sequence = 0, hash = ?", bytes(32))
    await fill(trail)
    assert isinstance(await verify(trail), Whole)
    found = await verify(trail, checkpoint)
    assert isinstance(found, Broken)
    assert found.record == checkpoint.sequence


async def test_any_change_of_the_head_is_found(trail: SqlTrail, intruder: Intruder) -> None:
    [(sequence, digest)] = intruder.execute("SELECT sequence, hash FROM audit_head")
    changes = [("sequence", sequence, new) for new in flips(sequence)]
    changes += [("hash", digest, new) for new in flips(digest)]
    changes.append(("id", 1, 2))
    for column, old, new in changes:
        intruder.execute(f"UPDATE audit_head SET {column} = ?", new)
        assert isinstance(await verify(trail), Broken), (column, new)
        intruder.execute(f"UPDATE audit_head SET {column} = ?", old)
    assert isinstance(await verify(trail), Whole)
    intruder.execute("DELETE FROM audit_head")
    assert isinstance(await verify(trail), Broken)
