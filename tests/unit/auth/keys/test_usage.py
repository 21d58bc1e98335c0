import asyncio
from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime, timedelta

import pytest

from services.auth.keys.key import Calls, NewKey, SecretDigest
from services.auth.keys.usage import Usage, Use
from services.auth.store import MIGRATIONS
from services.auth.store.keys import SqlKeys
from services.runtime.database import Database, migrate
from tests.unit.auth.keys.test_update import KEY

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


class Time:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
async def keys(database_url: str) -> AsyncIterator[SqlKeys]:
    await asyncio.to_thread(migrate, database_url, MIGRATIONS)
    database = Database(database_url)
    kept = SqlKeys(database)
    await kept.add(NewKey(KEY, SecretDigest(1, bytes(32))))
    yield kept
    await database.close()


async def test_calls_are_counted_by_capability_in_a_day_and_in_a_month(keys: SqlKeys) -> None:
    clock = Time()
    usage = Usage(keys, clock)
    clock.now = NOW - timedelta(days=31)
    usage.count(KEY.id, "server.reboot", "203.0.113.4")
    clock.now = NOW - timedelta(days=29)
    usage.count(KEY.id, "server.reboot", "203.0.113.4")
    await usage.flush()
    clock.now = NOW
    for _ in range(3):
        usage.count(KEY.id, "server.reboot", "203.0.113.4")
    usage.count(KEY.id, "server.details", "203.0.113.4")
    usage.count(KEY.id, "", "203.0.113.4")
    await usage.flush()
    other = Usage(keys, clock)  # another process
    other.count(KEY.id, "server.reboot", "203.0.113.4")
    await other.flush()
    assert await keys.calls([KEY.id, "f" * 16], NOW) == {
        KEY.id: {"server.details": Calls(1, 1), "server.reboot": Calls(4, 5)}
    }


async def test_the_last_use_is_written_once_a_minute_at_most(keys: SqlKeys) -> None:
    clock = Time()
    usage = Usage(keys, clock)
    for seconds, address, written in (
        (0, "203.0.113.4", 0),
        (59, "203.0.113.5", 0),
        (60, "203.0.113.6", 60),
    ):
        clock.now = NOW + timedelta(seconds=seconds)
        usage.count(KEY.id, "server.reboot", address)
        await usage.flush()
        found = await keys.get(KEY.id)
        assert found is not None
        assert found.last_used_at == NOW + timedelta(seconds=written)
    assert found is not None
    assert found.last_used_ip == "203.0.113.6"


async def test_what_cannot_be_written_is_written_the_next_time() -> None:
    class Failing:
        def __init__(self) -> None:
            self.fails = True
            self.noted: list[Use] = []

        async def note(self, uses: Iterable[Use]) -> None:
            if self.fails:
                usage.count(KEY.id, "server.reboot", "203.0.113.4")  # meanwhile
                raise ConnectionError
            self.noted += uses

    uses = Failing()
    usage = Usage(uses, Time())
    usage.count(KEY.id, "server.reboot", "203.0.113.4")
    with pytest.raises(ConnectionError):
        await usage.flush()
    uses.fails = False
    await usage.flush()
    await usage.flush()
    [noted] = uses.noted
    assert [*noted.calls.values()] == [2]
    assert not usage.pending


async def test_old_counts_and_policies_that_nothing_names_are_forgotten(keys: SqlKeys) -> None:
    from services.runtime.policy import Policy

    clock = Time()
    usage = Usage(keys, clock)
    usage.count(KEY.id, "server.reboot", "203.0.113.4")
    await usage.flush()
    token = Policy(["server.reboot"], ["ns1.example.net"])
    await keys.keep_policy(token, NOW)
    await keys.forget_old(NOW + timedelta(hours=23))
    assert await keys.policy(token.digest()) is not None
    await keys.forget_old(NOW + timedelta(days=32))
    assert await keys.policy(token.digest()) is None
    assert await keys.policy(KEY.policy().digest()) is not None
    assert await keys.calls([KEY.id], NOW) == {}
