"""Monitoring over REST and for Prometheus, of a real BMC."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from lab.ipmi_sim import IpmiSim
from lab.ports import HOST
from lab.snmpd import LOOPBACK, Snmpd
from tests.integration.conftest import IN_THE_CLEAR, Key, System, eventually, reason


class Monitored:
    """A server that is measured, and a key that may see it."""

    def __init__(self, system: System, bmc: IpmiSim) -> None:
        self.system = system
        self.hostname = system.server(bmc)
        self.key: Key = system.key(self.hostname, capabilities=["monitoring.read", "ipmi.status"])

    def get(self, **query: Any) -> httpx.Response:
        path = f"/api/servers/{self.hostname}/monitoring"
        return self.system.rest("GET", path, self.key, params=query)

    def measured(self) -> dict[str, Any]:
        """The answer, as soon as there is something in it: a round that was missed is a minute."""
        told: dict[str, Any] = eventually(
            lambda: (answer := self.get().json())["series"] and answer, 90
        )
        return told

    def metrics(self) -> dict[str, dict[tuple[str, ...], float]]:
        """What Prometheus reads of this server: by name, and then by labels."""
        url = f"http://{HOST}:{self.system.stack.ports.metrics}/metrics"
        found: dict[str, dict[tuple[str, ...], float]] = {}
        for family in text_string_to_metric_families(
            httpx.get(url, verify=IN_THE_CLEAR, timeout=10).text
        ):
            for sample in family.samples:
                if sample.labels.pop("instance", self.hostname) == self.hostname:
                    labels = tuple(value for _, value in sorted(sample.labels.items()))
                    found.setdefault(sample.name, {})[labels] = sample.value
        return found


@pytest.fixture(scope="module")
def monitored(system: System) -> Monitored:
    return Monitored(system, system.bmc())


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Snmpd]:
    with Snmpd(tmp_path_factory.mktemp("snmp") / "agent") as started:
        yield started


def test_the_sensors_of_the_bmc_become_series_with_their_units(monitored: Monitored) -> None:
    told = monitored.measured()
    path = f"/api/servers/{monitored.hostname}/ipmi/sensors"
    sensors = monitored.system.rest("GET", path, monitored.key).json()["sensors"]
    kinds = {"°C": "temperature", "RPM": "fan", "W": "power_draw"}
    expected = {
        f"{kinds[sensor['unit']]}/{sensor['name']}": (sensor["unit"], sensor["value"])
        for sensor in sensors
        if sensor["unit"] in kinds
    }
    assert expected
    series = {each["name"]: each for each in told["series"]}
    for name, (unit, value) in expected.items():
        [point] = series[name]["points"]
        assert series[name]["unit"] == unit
        assert point["average"] == point["minimum"] == point["maximum"] == value
    # What is not measured, is not there; neither as a zero.
    assert not any(name.startswith(("traffic", "reachability")) for name in series)
    assert told["age_seconds"] < 90
    assert told["newest_time"].endswith("Z")


@pytest.mark.parametrize(
    ("period", "step", "days"),
    [
        ("hour", 60, 1 / 24),
        ("day", 300, 1),
        ("week", 3600, 7),
        ("MONTH", 3600, 30),
        ("year", 86400, 365),
    ],
)
def test_each_period_has_its_step(
    monitored: Monitored, period: str, step: int, days: float
) -> None:
    monitored.measured()
    told = monitored.get(period=period).json()
    assert told["step_seconds"] == step
    start, end = (datetime.fromisoformat(told[name]) for name in ("start_time", "end_time"))
    assert (end - start).total_seconds() == days * 86400
    [point, *_] = told["series"][0]["points"]
    assert start <= datetime.fromisoformat(point["time"]) < end


def test_series_are_chosen_by_name_or_kind(monitored: Monitored) -> None:
    monitored.measured()
    names = [each["name"] for each in monitored.get(series="temperature").json()["series"]]
    assert names == ["temperature/CPU Temp", "temperature/Inlet Temp"]
    told = monitored.get(series=["temperature/CPU Temp", "fan"]).json()
    assert [each["name"] for each in told["series"]] == ["fan/FAN 1", "temperature/CPU Temp"]
    nothing = monitored.get(series="nothing").json()
    assert nothing["series"] == []
    assert "age_seconds" not in nothing


@pytest.mark.parametrize("query", [{"period": "fortnight"}, {"period": "9"}, {"series": ""}])
def test_a_wrong_question_is_refused(monitored: Monitored, query: dict[str, str]) -> None:
    refusal = monitored.get(**query)
    assert (refusal.status_code, reason(refusal)) == (400, "INVALID_REQUEST")


def test_prometheus_reads_the_names_of_ipmi_exporter(monitored: Monitored) -> None:
    monitored.measured()
    seen = monitored.metrics()
    place = "EU-WEST-F2H"
    assert seen["ipmi_up"] == {("ipmi", place): 1.0}
    assert seen["ipmi_temperature_celsius"][(place, "1", "CPU Temp")] == 47.0
    assert seen["ipmi_temperature_state"][(place, "1", "CPU Temp")] == 0.0
    assert seen["ipmi_fan_speed_rpm"][(place, "3", "FAN 1")] == 5400.0
    assert seen["ipmi_voltage_volts"][(place, "4", "12V")] == pytest.approx(12.06)
    assert seen["f2h_monitoring_rounds_total"][()] >= 1


def test_the_traffic_of_a_server_is_counted_by_its_switch(
    monitored: Monitored, agent: Snmpd
) -> None:
    path = f"/api/noc/servers/{monitored.hostname}/uplink"
    form = {"switch_address": HOST, "switch_port": agent.port, "interface": LOOPBACK}

    def traffic() -> Any:
        # Each time it is said, the counters are read at once; a rate takes two readings.
        put = monitored.system.noc("PUT", path, json={**form, "community": agent.community})
        assert put.status_code == 200, put.text
        assert agent.community not in put.text
        told = monitored.get(series="traffic").json()["series"]
        # The agent says the same for some seconds, which is no traffic.
        moved = [point["average"] > 0 for each in told for point in each["points"][-1:]]
        return told if moved and all(moved) else None

    told = eventually(traffic, 150)
    assert [(each["name"], each["unit"]) for each in told] == [
        ("traffic/in", "bit/s"),
        ("traffic/out", "bit/s"),
    ]
    assert monitored.system.noc("DELETE", path).status_code == 200
    assert monitored.system.noc("DELETE", path).status_code == 404


@pytest.mark.parametrize(
    "login",
    [
        {},
        {"community": "x", "user": "y"},
        {"user": "y", "auth_passphrase": "12345678"},
        {"user": "y", "auth_passphrase": "1234567", "privacy_passphrase": "12345678"},
    ],
)
def test_a_login_is_whole_or_refused(monitored: Monitored, login: dict[str, str]) -> None:
    form = {"switch_address": HOST, "interface": 1, **login}
    path = f"/api/noc/servers/{monitored.hostname}/uplink"
    refusal = monitored.system.noc("PUT", path, json=form)
    assert (refusal.status_code, reason(refusal)) == (400, "INVALID_REQUEST")
    unknown = monitored.system.noc(
        "PUT",
        "/api/noc/servers/nobody.example.net/uplink",
        json={"switch_address": HOST, "interface": 1, "community": "x"},
    )
    assert (unknown.status_code, reason(unknown)) == (404, "NOT_FOUND")
