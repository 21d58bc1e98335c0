"""What was measured, on both databases, against what it should be."""

import asyncio
import math
import random
from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime, timedelta

import pytest

from services.runtime.database import Database, migrate
from services.runtime.sealing import Sealer
from services.server_ops.__main__ import MIGRATIONS
from services.server_ops.bmc.observation import PowerState
from services.server_ops.bmc.sensor import Health, Sensor
from services.server_ops.monitoring.series import (
    DAY,
    FIVE_MINUTES,
    HOUR,
    RAW,
    Point,
    Resolution,
    Sample,
)
from services.server_ops.monitoring.store import Round
from services.server_ops.store.measurements import SqlMeasurements
from services.server_ops.store.servers import SqlServers
from tests.unit.server_ops.store.test_netboots import HOST, Stores

NOW = datetime(2026, 3, 1, tzinfo=UTC)
"""When servers are registered."""
BEGIN = datetime(2026, 3, 1, 22, 30, tzinfo=UTC)
FAN = Sensor("FAN1", "Fan", 5400.0, "RPM", Health.OK)

Measured = list[tuple[int, float]]
"""Values by second."""


@pytest.fixture
async def stores(database_url: str) -> AsyncIterator[Stores]:
    await asyncio.to_thread(migrate, database_url, MIGRATIONS)
    database = Database(database_url)
    made = Stores(database)
    await made.put()
    yield made
    await database.close()


@pytest.fixture
def measurements(stores: Stores) -> SqlMeasurements:
    return SqlMeasurements(stores.database)


def rounds(measured: Iterable[tuple[int, float]], name: str = "fan/FAN1") -> list[Round]:
    return [
        Round(
            HOST,
            Sample(datetime.fromtimestamp(time, UTC), {name: value}),
            (FAN,),
            PowerState.ON,
            0.5,
        )
        for time, value in measured
    ]


def expected(measured: Measured, resolution: Resolution, start: int, end: int) -> list[Point]:
    steps: dict[int, list[float]] = {}
    for time, value in measured:
        begin = time - time % resolution.step
        if start <= begin < end:
            steps.setdefault(begin, []).append(value)
    return [
        Point(begin, math.fsum(within) / len(within), min(within), max(within))
        for begin, within in sorted(steps.items())
    ]


def assert_same(found: list[Point], wanted: list[Point]) -> None:
    assert [point.time for point in found] == [point.time for point in wanted]
    for one, other in zip(found, wanted, strict=True):
        for name in ("average", "minimum", "maximum"):
            # Kept to one part in 8192, and rolled up from what was kept.
            assert getattr(one, name) == pytest.approx(getattr(other, name), rel=1 / 4096)


async def test_each_resolution_is_what_the_measurements_make_of_it(
    measurements: SqlMeasurements,
) -> None:
    chance = random.Random(7)
    begin = int(BEGIN.timestamp())
    measured: Measured = []
    time = begin
    while time < begin + 3 * DAY.step:
        # Now and then nothing is measured, for minutes or for hours.
        time += 60 * chance.choice([1] * 40 + [2, 9, 60, 300])
        measured.append((time + chance.randrange(60), chance.uniform(1, 9000)))
    for first in range(0, len(measured), 50):
        await measurements.append(rounds(measured[first : first + 50]))
    last = measured[-1][0]
    for resolution in (FIVE_MINUTES, HOUR, DAY):
        start = begin - begin % DAY.step
        found = await measurements.read(HOST, resolution, start, last + 1)
        assert_same(found["fan/FAN1"], expected(measured, resolution, start, last + 1))
        # A part of it is the same part.
        start += DAY.step + 7 * 3600 if resolution is not DAY else DAY.step
        end = last - last % resolution.step
        found = await measurements.read(HOST, resolution, start, end)
        assert_same(found["fan/FAN1"], expected(measured, resolution, start, end))
    start = last - last % 60 - 3540
    found = await measurements.read(HOST, RAW, start, last + 1)
    assert_same(found["fan/FAN1"], expected(measured, RAW, start, last + 1))
    assert await measurements.newest(HOST) == datetime.fromtimestamp(last, UTC)


async def test_nothing_measured_is_nothing(measurements: SqlMeasurements) -> None:
    for resolution in (RAW, FIVE_MINUTES, HOUR, DAY):
        assert await measurements.read(HOST, resolution, 0, 2**32 - 2**32 % DAY.step) == {}
    assert await measurements.newest(HOST) is None
    assert await measurements.latest() == []


async def test_what_is_old_is_forgotten_and_what_was_made_of_it_stays(
    stores: Stores, measurements: SqlMeasurements
) -> None:
    begin = int(BEGIN.timestamp())
    days = 8
    measured = [(begin + hour * 3600, 1.0 + hour) for hour in range(days * 24)]
    for each in rounds(measured):
        await measurements.append([each])
    last = measured[-1][0]
    raw = await measurements.read(HOST, RAW, 0, last + 1)
    assert last - raw["fan/FAN1"][0].time <= RAW.keep + 2 * RAW.span
    fine = await measurements.read(HOST, FIVE_MINUTES, 0, last + 1)
    assert last - fine["fan/FAN1"][0].time <= FIVE_MINUTES.keep + 2 * FIVE_MINUTES.span
    hours = await measurements.read(HOST, HOUR, 0, last + 1)
    assert_same(hours["fan/FAN1"], expected(measured, HOUR, 0, last + 1))


async def test_a_pause_over_midnight_loses_nothing(measurements: SqlMeasurements) -> None:
    midnight = datetime(2026, 3, 2, tzinfo=UTC)
    before, after = midnight - timedelta(hours=5), midnight + timedelta(days=3, hours=2)
    measured = [(int(time.timestamp()), 5.0) for time in (before, after)]
    for each in rounds(measured):
        await measurements.append([each])
    found = await measurements.read(HOST, DAY, 0, 2**32 - 2**32 % DAY.step)
    assert_same(found["fan/FAN1"], expected(measured, DAY, 0, 2**32 - 2**32 % DAY.step))


async def test_a_server_is_due_once_a_minute_for_one_process(
    stores: Stores, measurements: SqlMeasurements
) -> None:
    claims = await asyncio.gather(*(measurements.claim_due(NOW, 10) for _ in range(10)))
    assert sorted(claim.hostnames for claim in claims) == [[]] * 9 + [[HOST]]
    assert (await measurements.claim_due(NOW + timedelta(seconds=59), 10)).missed == 0
    late = await measurements.claim_due(NOW + timedelta(seconds=60 * 10 + 59), 10)
    assert late.hostnames == [HOST]
    # It was due nine or ten times since; the phase of the minute is its own.
    assert late.missed in {8, 9, 10}
    assert (await measurements.claim_due(NOW + timedelta(seconds=60 * 10 + 59), 10)).hostnames == []


async def test_many_servers_are_spread_over_the_minute(stores: Stores) -> None:
    for number in range(200):
        await stores.put(f"spread{number}.example.net", bmc_address="192.0.2.9")
    measurements = SqlMeasurements(stores.database)
    assert len((await measurements.claim_due(NOW, 1000)).hostnames) == 201
    by_ten_seconds = [
        len((await measurements.claim_due(NOW + timedelta(seconds=second), 1000)).hostnames)
        for second in range(10, 61, 10)
    ]
    assert sum(by_ten_seconds) == 201
    assert max(by_ten_seconds) < 70


async def test_the_newest_round_is_kept_whole(measurements: SqlMeasurements) -> None:
    time = int(BEGIN.timestamp())
    await measurements.append(rounds([(time, 1.0), (time + 60, 2.0)]))
    [latest] = await measurements.latest()
    assert (latest.hostname, latest.datacenter) == (HOST, "EU-WEST-F2H")
    assert (latest.sensors, latest.power) == ((FAN,), PowerState.ON)
    assert latest.time == BEGIN + timedelta(minutes=1)


async def test_what_was_measured_is_none_of_the_next_accounts_business(
    stores: Stores, measurements: SqlMeasurements
) -> None:
    time = int(BEGIN.timestamp())
    await measurements.append(rounds([(time, 1.0)]))
    await stores.put(account="acme")
    assert await measurements.read(HOST, RAW, 0, 2**32 - 2**32 % DAY.step) != {}
    await stores.put(account="other")
    for resolution in (RAW, HOUR):
        assert await measurements.read(HOST, resolution, 0, 2**32 - 2**32 % DAY.step) == {}
    servers = SqlServers(stores.database, Sealer({1: bytes(32)}))
    assert await servers.delete(HOST)
    await measurements.append(rounds([(time, 1.0)]))
    assert await measurements.read(HOST, RAW, 0, 2**32 - 2**32 % DAY.step) == {}
