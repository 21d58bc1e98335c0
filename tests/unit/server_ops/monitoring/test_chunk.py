"""Chunks of points: what goes in comes out, and gaps stay gaps."""

import math

from hypothesis import given
from hypothesis import strategies as st

from services.server_ops.monitoring.chunk import Chunk, rolled_up
from services.server_ops.monitoring.series import HOUR, MOST_SERIES, RAW, Point, Resolution

START = 1_790_000_000 - 1_790_000_000 % HOUR.span
NUMBERS = st.floats(-(2.0**40), 2.0**40, allow_subnormal=False, width=32)
PARTS = 8192
"""To one part in so many a number is right."""


def same(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=1 / PARTS, abs_tol=1e-30)


def again(chunk: Chunk, resolution: Resolution) -> dict[str, list[Point]]:
    """The points of a chunk that was kept and read."""
    return dict(Chunk.decode(resolution, chunk.start, chunk.encode()).points())


@given(st.dictionaries(st.integers(0, RAW.slots - 1), NUMBERS), st.text(max_size=20))
def test_raw_points_come_out_as_they_went_in(values: dict[int, float], name: str) -> None:
    chunk = Chunk(RAW, START)
    for slot, value in values.items():
        chunk.put(START + slot * RAW.step + 17, {name: (value,)})
    points = again(chunk, RAW).get(name, [])
    assert [point.time for point in points] == [START + slot * 60 for slot in sorted(values)]
    for point, slot in zip(points, sorted(values), strict=True):
        assert same(point.average, values[slot])
        assert point.minimum == point.maximum == point.average


@given(
    st.dictionaries(
        st.integers(0, HOUR.slots - 1), st.tuples(NUMBERS, NUMBERS, NUMBERS), max_size=9
    )
)
def test_rolled_up_points_come_out_as_they_went_in(
    values: dict[int, tuple[float, float, float]],
) -> None:
    chunk = Chunk(HOUR, START)
    for slot, value in values.items():
        chunk.put(START + slot * HOUR.step, {"one": value, "other": value})
    found = again(chunk, HOUR)
    assert found.get("one") == found.get("other")
    for point, slot in zip(found.get("one", []), sorted(values), strict=True):
        seen = (point.average, point.minimum, point.maximum)
        assert all(map(same, seen, values[slot]))


def test_whole_numbers_of_sensors_are_exact() -> None:
    chunk = Chunk(RAW, START)
    readings = [0.0, 1.0, 41.0, 101.0, 5400.0, 8191.0, 12.0625]
    for slot, value in enumerate(readings):
        chunk.put(START + slot * 60, {"fan/1": (value,)})
    assert [point.average for point in again(chunk, RAW)["fan/1"]] == readings


def test_a_server_has_no_more_series_than_it_may() -> None:
    chunk = Chunk(RAW, START)
    chunk.put(START, {f"fan/{number}": (1.0,) for number in range(MOST_SERIES + 5)})
    chunk.put(START, {"power": (1.0,)})
    assert len(again(chunk, RAW)) == MOST_SERIES


@given(st.lists(st.tuples(st.integers(0, 3600), NUMBERS), min_size=1))
def test_a_step_is_the_average_and_the_bounds_of_its_points(
    measured: list[tuple[int, float]],
) -> None:
    points = [Point(time, value, value, value) for time, value in measured]
    steps = rolled_up(points, 300)
    for begin, (average, least, most) in steps.items():
        within = [value for time, value in measured if begin <= time < begin + 300]
        assert (least, most) == (min(within), max(within))
        assert math.isclose(average, math.fsum(within) / len(within))
    assert {time - time % 300 for time, _ in measured} == set(steps)
