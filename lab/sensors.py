"""The sensors of a simulated machine, as full sensor records (IPMI 2.0 table 43-1)."""

import struct
from dataclasses import dataclass

_CELSIUS, _VOLT, _RPM = 1, 4, 18
"""Base units, IPMI 2.0 table 43-15."""

_TEMPERATURE, _VOLTAGE, _FAN = 0x01, 0x02, 0x04
"""Sensor types, IPMI 2.0 table 42-3."""

_PROCESSOR, _INLET, _BOARD, _COOLING = 3, 55, 7, 29
"""Entity ids, IPMI 2.0 table 43-13."""


@dataclass(frozen=True)
class Sensor:
    """A sensor whose value is raw x factor x 10^exponent."""

    name: str
    kind: int
    unit: int
    entity: int
    factor: int
    exponent: int
    raw_on: int
    raw_off: int


SENSORS = (
    Sensor("CPU Temp", _TEMPERATURE, _CELSIUS, _PROCESSOR, 1, 0, raw_on=47, raw_off=24),
    Sensor("Inlet Temp", _TEMPERATURE, _CELSIUS, _INLET, 1, 0, raw_on=23, raw_off=21),
    Sensor("FAN 1", _FAN, _RPM, _COOLING, 60, 0, raw_on=90, raw_off=0),
    Sensor("12V", _VOLTAGE, _VOLT, _BOARD, 6, -2, raw_on=201, raw_off=0),
)


def reading(number: int, *, on: bool) -> int | None:
    """The raw reading of the sensor with this number; None when there is none."""
    if not 1 <= number <= len(SENSORS):
        return None
    sensor = SENSORS[number - 1]
    return sensor.raw_on if on else sensor.raw_off


def record(index: int, sensor: Sensor) -> bytes:
    """The record of a sensor, at its place in the repository."""
    name = sensor.name.encode()
    body = struct.pack(
        "<3B 2B 2B 2B 3H 3B B 6B 4B 2B 6B 2B 2B B B",
        *(0x20, 0x00, index + 1),  # owner: the BMC; sensor number
        *(sensor.entity, 1),
        *(0x7F, 0x40),  # initialized; ignored when its entity is absent, no thresholds
        *(sensor.kind, 0x01),  # a threshold sensor
        *(0, 0, 0),  # no events, no thresholds
        *(0x00, sensor.unit, 0),  # unsigned
        0x00,  # linear
        *(sensor.factor, 0, 0, 0, 0, (sensor.exponent & 0x0F) << 4),
        *(0x00, 0, 0, 0),  # nominal and normal readings: not given
        *(0xFF, 0x00),  # maximum and minimum
        *(0, 0, 0, 0, 0, 0),
        *(0, 0),
        *(0, 0),
        0,
        0xC0 | len(name),  # 8-bit ASCII
    )
    body += name
    return struct.pack("<HBBB", index, 0x51, 0x01, len(body)) + body


RECORDS = tuple(record(index, sensor) for index, sensor in enumerate(SENSORS))
