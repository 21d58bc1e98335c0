from collections import Counter
from dataclasses import replace

import pytest

from services.auth.check.records import KeyRecord, RecordCache

SECONDS = 0.5

RECORD = KeyRecord(
    id="0" * 16,
    audience=2,
    account="demo",
    pepper=1,
    digest=bytes(32),
    capabilities=frozenset({"server.reboot"}),
    cidrs=(),
    policy_digest=bytes(32),
    expire_time=None,
    revoked=False,
)


class Seconds:
    """A timer that is moved by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class CountedRecords:
    """One key; reading it takes as long as a test says."""

    def __init__(self, timer: Seconds) -> None:
        self.timer = timer
        self.reads: Counter[str] = Counter()
        self.read_seconds = 0.0
        self.record_ = RECORD

    async def record(self, key_id: str) -> KeyRecord | None:
        self.reads[key_id] += 1
        found = self.record_ if key_id == RECORD.id else None
        self.timer.now += self.read_seconds
        return found


@pytest.fixture
def timer() -> Seconds:
    return Seconds()


@pytest.fixture
def keys(timer: Seconds) -> CountedRecords:
    return CountedRecords(timer)


@pytest.fixture
def cache(keys: CountedRecords, timer: Seconds) -> RecordCache[KeyRecord]:
    return RecordCache(keys.record, size=100, seconds=SECONDS, timer=timer)


@pytest.mark.parametrize("key_id", [RECORD.id, "unknown"])
async def test_a_key_is_read_once_in_its_time_whether_it_is_there_or_not(
    cache: RecordCache[KeyRecord], keys: CountedRecords, timer: Seconds, key_id: str
) -> None:
    """Both alike, so that the time of an answer does not tell which ids there are."""
    for _ in range(20):
        await cache.get(key_id)
    assert keys.reads == {key_id: 1}
    timer.now += SECONDS
    await cache.get(key_id)
    assert keys.reads == {key_id: 2}


async def test_a_slow_read_does_not_make_a_record_last_longer(
    cache: RecordCache[KeyRecord], keys: CountedRecords, timer: Seconds
) -> None:
    """A key that was revoked while it was read is refused as soon as any other."""
    keys.read_seconds = SECONDS - 0.1
    began = timer.now
    assert await cache.get(RECORD.id) == RECORD
    keys.record_ = replace(RECORD, revoked=True)
    keys.read_seconds = 0
    timer.now = began + SECONDS
    assert await cache.get(RECORD.id) == keys.record_


async def test_a_read_that_takes_longer_than_a_record_lasts_is_not_kept(
    cache: RecordCache[KeyRecord], keys: CountedRecords
) -> None:
    keys.read_seconds = SECONDS
    await cache.get(RECORD.id)
    await cache.get(RECORD.id)
    assert keys.reads == {RECORD.id: 2}


async def test_a_flood_of_made_up_keys_displaces_no_real_one(
    cache: RecordCache[KeyRecord], keys: CountedRecords
) -> None:
    await cache.get(RECORD.id)
    for number in range(1000):
        await cache.get(f"{number:016x}1")
    await cache.get(RECORD.id)
    assert keys.reads[RECORD.id] == 1


async def test_an_unknown_key_that_is_forgotten_is_read_again(
    cache: RecordCache[KeyRecord], keys: CountedRecords
) -> None:
    await cache.get("unknown")
    cache.forget("unknown")
    await cache.get("unknown")
    assert keys.reads == {"unknown": 2}


async def test_without_time_to_be_kept_every_look_is_a_read(
    keys: CountedRecords, timer: Seconds
) -> None:
    cache = RecordCache(keys.record, size=100, seconds=0, timer=timer)
    await cache.get(RECORD.id)
    await cache.get(RECORD.id)
    assert keys.reads == {RECORD.id: 2}
