"""What was measured, in the database: chunks of points, few and small."""

import zlib
from collections.abc import Mapping
from datetime import datetime, timedelta

from pydantic import TypeAdapter
from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from services.runtime.database import Database, utc
from services.server_ops.bmc.observation import PowerState
from services.server_ops.bmc.sensor import Sensor
from services.server_ops.monitoring.chunk import Chunk, rolled_up
from services.server_ops.monitoring.series import (
    DAY,
    RAW,
    ROLLED_UP,
    Point,
    Resolution,
)
from services.server_ops.monitoring.store import Claimed, Latest, Round
from services.server_ops.store.tables import ChunkRow, MonitoredRow, ServerRow

_SENSORS: TypeAdapter[tuple[Sensor, ...] | None] = TypeAdapter(tuple[Sensor, ...] | None)

_STEP = timedelta(seconds=RAW.step)


class SqlMeasurements:
    """Implements Measurements."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def claim_due(self, now: datetime, limit: int) -> Claimed:
        due = col(MonitoredRow.due_time) <= now
        query = select(MonitoredRow).where(due).order_by(col(MonitoredRow.due_time)).limit(limit)
        if not await self._database.fetch(query):
            return Claimed([], 0)
        missed = 0
        async with self._database.write() as session:
            rows = (await session.execute(query.with_for_update(skip_locked=True))).scalars().all()
            for row in rows:
                passed = (now - utc(row.due_time)) // _STEP
                missed += passed
                row.due_time = utc(row.due_time) + (passed + 1) * _STEP
            return Claimed([row.hostname for row in rows], missed)

    async def append(self, rounds: list[Round]) -> None:
        async with self._database.write() as session:
            for each in rounds:
                row = await session.get(MonitoredRow, each.hostname, with_for_update=True)
                if row is not None:
                    await _append(session, row, each)

    async def read(
        self, hostname: str, resolution: Resolution, start: int, end: int
    ) -> Mapping[str, list[Point]]:
        rolled = await self._rolled_until(hostname)
        # What is not rolled up yet is so here; a step that is under way counts as that.
        open_from = rolled - rolled % resolution.step if resolution is not RAW else start
        found: dict[str, list[Point]] = {}
        if resolution is not RAW:
            for chunk in await self._chunks(hostname, resolution, start, min(end, open_from)):
                for name, points in chunk.points():
                    within = [each for each in points if start <= each.time < open_from]
                    found.setdefault(name, []).extend(within)
        raw: dict[str, list[Point]] = {}
        for chunk in await self._chunks(hostname, RAW, max(start, open_from), end):
            for name, points in chunk.points():
                raw.setdefault(name, []).extend(points)
        for name, points in raw.items():
            if resolution is not RAW:
                steps = rolled_up(points, resolution.step)
                points = [Point(begin, *values) for begin, values in steps.items()]  # noqa: PLW2901
            within = [each for each in points if max(start, open_from) <= each.time < end]
            found.setdefault(name, []).extend(within)
        return {name: points for name, points in found.items() if points}

    async def newest(self, hostname: str) -> datetime | None:
        query = select(col(MonitoredRow.time)).where(col(MonitoredRow.hostname) == hostname)
        rows = await self._database.fetch(query)
        return utc(rows[0].time) if rows and rows[0].time else None

    async def latest(self) -> list[Latest]:
        query = select(
            col(MonitoredRow.hostname),
            col(ServerRow.datacenter),
            col(MonitoredRow.time),
            col(MonitoredRow.sensors),
            col(MonitoredRow.power),
            col(MonitoredRow.seconds),
        ).join(ServerRow, col(ServerRow.hostname) == col(MonitoredRow.hostname))
        query = query.where(col(MonitoredRow.time).is_not(None))
        rows = await self._database.scan(query.order_by(col(MonitoredRow.hostname)))
        return [
            Latest(
                row.hostname,
                row.datacenter,
                utc(row.time),
                _unpack(row.sensors),
                PowerState(row.power),
                row.seconds,
            )
            for row in rows
        ]

    async def _rolled_until(self, hostname: str) -> int:
        query = select(col(MonitoredRow.rolled_until)).where(col(MonitoredRow.hostname) == hostname)
        rows = await self._database.fetch(query)
        return int(rows[0].rolled_until) if rows else 0

    async def _chunks(
        self, hostname: str, resolution: Resolution, start: int, end: int
    ) -> list[Chunk]:
        first = start - start % resolution.span
        query = select(col(ChunkRow.start), col(ChunkRow.content)).where(
            col(ChunkRow.hostname) == hostname,
            col(ChunkRow.step) == resolution.step,
            col(ChunkRow.start) >= first,
            col(ChunkRow.start) < end,
        )
        rows = await self._database.fetch(query.order_by(col(ChunkRow.start)))
        return [Chunk.decode(resolution, row.start, row.content) for row in rows]


async def _append(session: AsyncSession, row: MonitoredRow, measured: Round) -> None:
    time = int(measured.sample.time.timestamp())
    hour = time - time % RAW.span
    if row.rolled_until < hour:
        await _roll_up(session, row, hour)
        row.rolled_until = hour
        await _forget_old(session, row.hostname, time)
    values = {name: (value,) for name, value in measured.sample.values.items()}
    await _put(session, row.hostname, RAW, {time: values})
    row.time = measured.sample.time
    row.sensors = _pack(measured.sensors)
    row.power, row.seconds = measured.power, measured.seconds


async def _roll_up(session: AsyncSession, row: MonitoredRow, until: int) -> None:
    """Rolls up the raw points from where it was done before."""
    # A day is rolled up as a whole, when it is over.
    day_is_over = until // DAY.step > row.rolled_until // DAY.step
    since = row.rolled_until - row.rolled_until % (DAY if day_is_over else RAW).step
    query = select(ChunkRow).where(
        col(ChunkRow.hostname) == row.hostname,
        col(ChunkRow.step) == RAW.step,
        col(ChunkRow.start) >= since,
        col(ChunkRow.start) < until,
    )
    chunks = (await session.execute(query.order_by(col(ChunkRow.start)))).scalars().all()
    points: dict[str, list[Point]] = {}
    for chunk in chunks:
        for name, of_hour in Chunk.decode(RAW, chunk.start, chunk.content).points():
            points.setdefault(name, []).extend(of_hour)
    for resolution in ROLLED_UP:
        begin = row.rolled_until - row.rolled_until % resolution.step
        end = until - until % resolution.step
        if end <= begin:
            continue
        at: dict[int, dict[str, tuple[float, ...]]] = {}
        for name, of_series in points.items():
            within = [each for each in of_series if begin <= each.time < end]
            for step, values in rolled_up(within, resolution.step).items():
                at.setdefault(step, {})[name] = values
        await _put(session, row.hostname, resolution, at)


async def _put(
    session: AsyncSession,
    hostname: str,
    resolution: Resolution,
    at: Mapping[int, Mapping[str, tuple[float, ...]]],
) -> None:
    """Keeps values, by time and series, in their chunks."""
    by_chunk: dict[int, list[int]] = {}
    for time in at:
        by_chunk.setdefault(time - time % resolution.span, []).append(time)
    for start, times in by_chunk.items():
        row = await session.get(ChunkRow, (hostname, resolution.step, start))
        if row is None:
            chunk = Chunk(resolution, start)
            row = ChunkRow(hostname=hostname, step=resolution.step, start=start, content=b"")
            session.add(row)
        else:
            chunk = Chunk.decode(resolution, start, row.content)
        for time in times:
            chunk.put(time, at[time])
        row.content = chunk.encode()


async def _forget_old(session: AsyncSession, hostname: str, now: int) -> None:
    for resolution in (RAW, *ROLLED_UP):
        await session.execute(
            delete(ChunkRow).where(
                col(ChunkRow.hostname) == hostname,
                col(ChunkRow.step) == resolution.step,
                # A day is rolled up from its raw points, so those of its beginning stay until then.
                col(ChunkRow.start) < now - resolution.keep - resolution.span,
            )
        )


def _pack(sensors: tuple[Sensor, ...] | None) -> bytes:
    return zlib.compress(_SENSORS.dump_json(sensors), 1)


def _unpack(content: bytes) -> tuple[Sensor, ...] | None:
    return _SENSORS.validate_json(zlib.decompress(content))
