"""The fleet for Prometheus, under the names that ipmi_exporter's users know.

One endpoint tells of every server, by what was measured last: a scrape asks no BMC. Scrape it with
`honor_labels: true`, since `instance` is the server's hostname.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from services.runtime.clock import Clock
from services.runtime.metrics import Asked
from services.server_ops.bmc.observation import PowerState
from services.server_ops.bmc.sensor import Health, Sensor
from services.server_ops.monitoring.collect import Collect
from services.server_ops.monitoring.store import Latest

FRESH = timedelta(seconds=180)
"""What was measured longer ago is left out: a gap is a gap."""

_SERVER = ("instance", "datacenter")
_SENSOR = (*_SERVER, "id", "name")

_BY_UNIT: Mapping[str, tuple[str, str]] = {
    "°C": ("ipmi_temperature_celsius", "ipmi_temperature_state"),
    "RPM": ("ipmi_fan_speed_rpm", "ipmi_fan_speed_state"),
    "V": ("ipmi_voltage_volts", "ipmi_voltage_state"),
    "A": ("ipmi_current_amperes", "ipmi_current_state"),
    "W": ("ipmi_power_watts", "ipmi_power_state"),
}

_STATE = {Health.OK: 0.0, Health.WARNING: 1.0, Health.CRITICAL: 2.0, Health.UNKNOWN: math.nan}
"""As ipmi_exporter has them: nominal, warning, critical, not available."""

_ON = {PowerState.ON: 1.0, PowerState.OFF: 0.0}


class Exporter(Asked):
    """Tells of the whole fleet at each scrape."""

    def __init__(
        self, latest: Callable[[], Awaitable[list[Latest]]], collect: Collect, clock: Clock
    ) -> None:
        super().__init__(self._fleet)
        self._latest = latest
        self._collect = collect
        self._clock = clock

    async def _fleet(self) -> Sequence[Metric]:
        latest = await self._latest()
        # In a thread: these are thousands, and the event loop has other things to do.
        return await asyncio.to_thread(self._told, latest)

    def _told(self, latest: list[Latest]) -> Sequence[Metric]:
        now = self._clock()
        fresh = [each for each in latest if now - each.time <= FRESH]
        rounds = CounterMetricFamily(
            "f2h_monitoring_rounds", "Rounds of measuring a server.", value=self._collect.measured
        )
        missed = CounterMetricFamily(
            "f2h_monitoring_missed_rounds",
            "Rounds that passed without being measured.",
            value=self._collect.missed,
        )
        return [*_of_servers(fresh), *_of_sensors(fresh), rounds, missed]


def _of_servers(latest: list[Latest]) -> Iterator[Any]:
    up = GaugeMetricFamily(
        "ipmi_up", "Whether the BMC's sensors were read.", labels=(*_SERVER, "collector")
    )
    power = GaugeMetricFamily(
        "ipmi_chassis_power_state", "Current power state (1=on, 0=off).", labels=_SERVER
    )
    seconds = GaugeMetricFamily(
        "ipmi_scrape_duration_seconds", "How long the BMC took.", labels=_SERVER, unit="seconds"
    )
    time = GaugeMetricFamily(
        "f2h_monitoring_timestamp_seconds", "When it was measured.", labels=_SERVER
    )
    for each in latest:
        labels = (each.hostname, each.datacenter)
        up.add_metric((*labels, "ipmi"), float(each.sensors is not None))
        seconds.add_metric(labels, each.seconds)
        time.add_metric(labels, each.time.timestamp())
        if each.power in _ON:
            power.add_metric(labels, _ON[each.power])
    yield from (up, power, seconds, time)


def _of_sensors(latest: list[Latest]) -> Iterator[Any]:
    families = {
        name: GaugeMetricFamily(name, f"{name} as the BMC says.", labels=_SENSOR)
        for pair in _BY_UNIT.values()
        for name in pair
    }
    for name in ("ipmi_sensor_value", "ipmi_sensor_state"):
        families[name] = GaugeMetricFamily(
            name, f"{name} as the BMC says.", labels=(*_SENSOR, "type")
        )
    for each in latest:
        for number, sensor in enumerate(each.sensors or (), 1):
            _add(families, (each.hostname, each.datacenter, str(number)), sensor)
    yield from families.values()


def _add(
    families: Mapping[str, GaugeMetricFamily], place: tuple[str, str, str], sensor: Sensor
) -> None:
    pair = _BY_UNIT.get(sensor.unit)
    labels: tuple[str, ...] = (*place, sensor.name)
    if pair is None:
        pair = ("ipmi_sensor_value", "ipmi_sensor_state")
        labels = (*labels, sensor.type)
    value, state = (families[name] for name in pair)
    state.add_metric(labels, _STATE[sensor.health])
    value.add_metric(labels, math.nan if sensor.value is None else sensor.value)
