"""Time series: what they are called, in which unit they are, and how finely they are kept."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from services.server_ops.bmc.sensor import Sensor

UNITS: Mapping[str, str] = {
    "power": "ratio",
    "reachability": "ratio",
    "temperature": "°C",
    "fan": "RPM",
    "power_draw": "W",
    "traffic": "bit/s",
}
"""The unit of every series, by the part of its name before the "/"."""

POWER = "power"
ICMP = "reachability/icmp"
TCP = "reachability/tcp"
TRAFFIC_IN = "traffic/in"
TRAFFIC_OUT = "traffic/out"

MOST_SERIES = 64
"""So many a server; further sensors are not kept."""

LONGEST_NAME = 100

_KINDS = {UNITS[kind]: kind for kind in ("temperature", "fan", "power_draw")}


@dataclass(frozen=True)
class Sample:
    """What was measured of a server at one moment, by the name of the series."""

    time: datetime
    values: Mapping[str, float]


class Point(NamedTuple):
    """What was measured in one step. There are thousands in an answer, so it is no dataclass."""

    time: int
    """When the step begins, in seconds since 1970 (UTC)."""
    average: float
    minimum: float
    maximum: float


@dataclass(frozen=True)
class Resolution:
    """How finely something is kept, and for how long."""

    step: int
    """Seconds from one point to the next."""
    slots: int
    """Points that are kept together."""
    keep: int
    """Seconds."""

    @property
    def span(self) -> int:
        """Seconds that are kept together."""
        return self.step * self.slots


DAY_SECONDS = 86_400

RAW = Resolution(60, 60, DAY_SECONDS)
FIVE_MINUTES = Resolution(300, 72, 7 * DAY_SECONDS)
HOUR = Resolution(3600, 168, 90 * DAY_SECONDS)
DAY = Resolution(DAY_SECONDS, 366, 731 * DAY_SECONDS)
ROLLED_UP = (FIVE_MINUTES, HOUR, DAY)


def unit(series: str) -> str:
    """The unit of a series."""
    return UNITS[series.partition("/")[0]]


def is_asked_for(series: str, asked: Iterable[str]) -> bool:
    """Whether a series is among those asked for, by its name or the part before the "/"."""
    names = {series, series.partition("/")[0]}
    wanted = set(asked)
    return not wanted or bool(wanted & names)


def of_sensors(sensors: Iterable[Sensor]) -> dict[str, float]:
    """The values of sensors that are kept. Of two with one name, the first."""
    values: dict[str, float] = {}
    for sensor in sensors:
        if sensor.value is not None and sensor.unit in _KINDS:
            name = f"{_KINDS[sensor.unit]}/{sensor.name}"[:LONGEST_NAME]
            values.setdefault(name, sensor.value)
    return values
