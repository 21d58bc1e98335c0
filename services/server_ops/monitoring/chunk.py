"""Points of a server that are kept together, as few bytes."""

import json
import math
import struct
import zlib
from array import array
from collections.abc import Iterator, Mapping

from services.server_ops.monitoring.series import MOST_SERIES, RAW, Point, Resolution

_NOTHING = math.nan
_FLOAT = 4
"""Bytes of a number: IEEE 754 single precision."""

_DROPPED = 11
"""Bits of the 23 that a number's fraction has which are not kept: what is left is right to one part
in 8192, finer than any sensor, and compresses."""


class Chunk:
    """The points of all series of a server in one span of time.

    Columns of floats, one value a slot, or three when the points are rolled up: average, minimum,
    maximum. A slot without a measurement holds no number.
    """

    def __init__(self, resolution: Resolution, start: int) -> None:
        """`start` is in seconds since 1970, a multiple of the resolution's span."""
        self.resolution = resolution
        self.start = start
        self._columns = 1 if resolution is RAW else 3
        self._series: dict[str, array[float]] = {}

    @classmethod
    def decode(cls, resolution: Resolution, start: int, content: bytes) -> "Chunk":
        """The chunk that `encode` made these bytes of."""
        names_size = struct.unpack_from("!H", content)[0]
        names = json.loads(content[2 : 2 + names_size])
        numbers = _numbers(zlib.decompress(content[2 + names_size :]))
        chunk = cls(resolution, start)
        size = chunk._columns * resolution.slots
        for index, name in enumerate(names):
            chunk._series[name] = numbers[index * size : (index + 1) * size]
        return chunk

    def encode(self) -> bytes:
        """The chunk in bytes."""
        names = json.dumps([*self._series], ensure_ascii=False).encode()
        content = b"".join(numbers.tobytes() for numbers in self._series.values())
        # The bytes of one rank side by side: the upper ones hardly differ, the lowest are zero.
        ranks = b"".join(content[rank::_FLOAT] for rank in range(_FLOAT))
        return struct.pack("!H", len(names)) + names + zlib.compress(ranks, 1)

    def put(self, time: int, values: Mapping[str, tuple[float, ...]]) -> None:
        """Keeps what was measured at a time; a second time, in place of the first.

        What would be more than MOST_SERIES is not kept.
        """
        slot = (time - self.start) // self.resolution.step
        for name, value in values.items():
            numbers = self._series.get(name)
            if numbers is None:
                if len(self._series) >= MOST_SERIES:
                    continue
                size = self._columns * self.resolution.slots
                numbers = self._series[name] = array("f", [_NOTHING]) * size
            for column, number in enumerate(value):
                numbers[column * self.resolution.slots + slot] = _rounded(number)

    def points(self) -> Iterator[tuple[str, list[Point]]]:
        """The points of each series, in order; none where nothing was measured."""
        slots, step = self.resolution.slots, self.resolution.step
        for name, numbers in self._series.items():
            columns = [numbers[column * slots : (column + 1) * slots] for column in range(3)]
            averages, least, most = columns if self._columns > 1 else (columns[0],) * 3
            yield (
                name,
                [
                    Point(self.start + slot * step, average, least[slot], most[slot])
                    for slot, average in enumerate(averages)
                    if not math.isnan(average)
                ],
            )


def rolled_up(points: list[Point], step: int) -> dict[int, tuple[float, float, float]]:
    """Average, minimum and maximum of what was measured in each step, by when that begins.

    Each of the `points` counts the same: they are of one resolution.
    """
    steps: dict[int, list[Point]] = {}
    for point in points:
        steps.setdefault(point.time - point.time % step, []).append(point)
    return {
        begin: (
            math.fsum(point.average for point in within) / len(within),
            min(point.minimum for point in within),
            max(point.maximum for point in within),
        )
        for begin, within in steps.items()
    }


def _rounded(number: float) -> float:
    [bits] = struct.unpack("!I", struct.pack("!f", number))
    kept = (bits + (1 << (_DROPPED - 1))) & ~((1 << _DROPPED) - 1)
    rounded: float = struct.unpack("!f", struct.pack("!I", kept))[0]
    return rounded


def _numbers(ranks: bytes) -> "array[float]":
    size = len(ranks) // _FLOAT
    content = bytearray(len(ranks))
    for rank in range(_FLOAT):
        content[rank::_FLOAT] = ranks[rank * size : (rank + 1) * size]
    numbers = array("f")
    numbers.frombytes(content)
    return numbers
