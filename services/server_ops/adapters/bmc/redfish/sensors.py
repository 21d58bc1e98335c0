"""Sensors as Redfish has them: Thermal and Power of DSP0268."""

from collections.abc import Iterator
from typing import Any

from services.server_ops.bmc.sensor import Health, Sensor, Thresholds

_HEALTH = {"OK": Health.OK, "Warning": Health.WARNING, "Critical": Health.CRITICAL}

_UNITS = {"RPM": "RPM", "Percent": "%"}


def read_thermal(thermal: dict[str, Any]) -> Iterator[Sensor]:
    """Temperatures and fans."""
    for each in _listed(thermal, "Temperatures"):
        yield _sensor(each, "Temperature", "ReadingCelsius", "°C")
    for each in _listed(thermal, "Fans"):
        reading = "Reading" if "Reading" in each else "ReadingRPM"
        unit = _UNITS.get(str(each.get("ReadingUnits", "RPM")), "")
        yield _sensor(each, "Fan", reading, unit)


def read_power(power: dict[str, Any]) -> Iterator[Sensor]:
    """Voltages, power supplies, and what all of it draws."""
    for each in _listed(power, "Voltages"):
        yield _sensor(each, "Voltage", "ReadingVolts", "V")
    for each in _listed(power, "PowerSupplies"):
        yield _sensor(each, "Power Supply", "LastPowerOutputWatts", "W")
    for each in _listed(power, "PowerControl"):
        yield _sensor(each, "Power", "PowerConsumedWatts", "W")


def _sensor(each: dict[str, Any], kind: str, reading: str, unit: str) -> Sensor:
    status = each.get("Status")
    status = status if isinstance(status, dict) else {}
    state = status.get("State")
    return Sensor(
        name=str(each.get("Name") or each.get("FanName") or each.get("MemberId") or ""),
        type=kind,
        value=_number(each, reading),
        unit=unit,
        health=_HEALTH.get(str(status.get("Health")), Health.UNKNOWN),
        states=(state,) if isinstance(state, str) and state != "Enabled" else (),
        thresholds=Thresholds(
            lower_non_recoverable=_number(each, "LowerThresholdFatal"),
            lower_critical=_number(each, "LowerThresholdCritical"),
            lower_non_critical=_number(each, "LowerThresholdNonCritical"),
            upper_non_critical=_number(each, "UpperThresholdNonCritical"),
            upper_critical=_number(each, "UpperThresholdCritical"),
            upper_non_recoverable=_number(each, "UpperThresholdFatal"),
        ),
    )


def _listed(resource: dict[str, Any], name: str) -> Iterator[dict[str, Any]]:
    value = resource.get(name)
    yield from (each for each in value if isinstance(each, dict)) if isinstance(value, list) else ()


def _number(each: dict[str, Any], name: str) -> float | None:
    value = each.get(name)
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None
