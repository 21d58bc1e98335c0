"""The contract of both simulators, asked by two real clients of the protocol."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.lab.client import PASSWORD, eventually
from tests.lab.simulators import Simulator, fleet, ipmi_sim

# Network function, command, data: IPMI 2.0 sections 28.3, 31.2, 31.6 and 20.1.
RESET = "bmc.raw_command(netfn=0x00, command=0x02, data=[3])"
POWER_CYCLE = "bmc.raw_command(netfn=0x00, command=0x02, data=[2])"
SEL_INFO = "bmc.raw_command(netfn=0x0a, command=0x40)"
DEVICE_ID = "bmc.raw_command(netfn=0x06, command=0x01)"
POWER = "bmc.get_power()"
EVENTS = "list(bmc.get_event_log())"
READINGS = "{s.name: s.value for s in bmc.get_sensor_data()}"

SENSORS = {
    "CPU Temp": ["47.000", "degrees C"],
    "Inlet Temp": ["23.000", "degrees C"],
    "FAN 1": ["5400.000", "RPM"],
    "12V": ["12.060", "Volts"],
}


@pytest.fixture(params=[ipmi_sim, fleet])
def simulator(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Simulator]:
    with request.param(tmp_path) as running:
        yield running


def test_ipmitool_reads_power_and_an_empty_event_log(simulator: Simulator) -> None:
    assert simulator.client.is_on()
    answer = simulator.client.ipmitool("sel", "list")
    assert "no entries" in answer.stdout + answer.stderr
    assert simulator.client.ipmitool("sel", "time", "get").returncode == 0
    assert "IPMI Version              : 2.0" in simulator.client.ipmitool("mc", "info").stdout
    assert simulator.chassis_commands() == 0


def test_pyghmi_reads_power_and_an_empty_event_log(simulator: Simulator) -> None:
    power, events, info, device = simulator.client.pyghmi(POWER, EVENTS, SEL_INFO, DEVICE_ID)
    assert (power["powerstate"], events) == ("on", [])
    data = bytes.fromhex(info["data"])
    assert (info["code"], len(data), data[0], data[1:3]) == (0, 14, 0x51, bytes(2))
    assert (device["code"], bytes.fromhex(device["data"])[4]) == (0, 0x02)
    assert simulator.chassis_commands() == 0


def test_ipmitool_and_pyghmi_read_the_same_sensors(simulator: Simulator) -> None:
    lines = simulator.client.ipmitool("sensor", "list").stdout.splitlines()
    read = {
        line.split("|")[0].strip(): [each.strip() for each in line.split("|")[1:3]]
        for line in lines
    }
    assert read == SENSORS
    (values,) = simulator.client.pyghmi(READINGS)
    assert values == {name: float(value) for name, (value, _) in SENSORS.items()}


@pytest.mark.parametrize("ask", ["ipmitool", "pyghmi"])
def test_a_reset_is_executed_once_and_the_restart_recorded(simulator: Simulator, ask: str) -> None:
    if ask == "ipmitool":
        simulator.client.power("reset")
    else:
        assert simulator.client.pyghmi(RESET)[0]["code"] == 0
    assert eventually(simulator.client.restarts) == ["Initiated by hard reset"]
    (events,) = simulator.client.pyghmi(EVENTS)
    assert [(each["component_type"], each["event"]) for each in events] == [
        ("System Boot", "Hard reset")
    ]
    assert simulator.client.is_on()
    assert simulator.chassis_commands() == 1


def test_a_power_cycle_shows_power_off_for_a_moment_and_is_one_command(
    simulator: Simulator,
) -> None:
    cycle, power = simulator.client.pyghmi(POWER_CYCLE, POWER)
    assert (cycle["code"], power["powerstate"]) == (0, "off")
    assert simulator.chassis_commands() == 1
    eventually(simulator.client.is_on)
    assert eventually(simulator.client.restarts) == ["Initiated by power up"]
    assert simulator.chassis_commands() == 1


def test_off_and_on_are_two_commands_even_with_a_look_between(simulator: Simulator) -> None:
    simulator.client.power("off")
    assert not simulator.client.is_on()
    simulator.client.power("on")
    assert simulator.client.is_on()
    assert simulator.chassis_commands() == 2
    assert eventually(simulator.client.restarts) == ["Initiated by power up"]


def test_on_is_no_restart_of_a_machine_that_is_on(simulator: Simulator) -> None:
    simulator.client.power("on")
    assert simulator.chassis_commands() == 1
    # A reset after it is the first to be recorded, so the other was not.
    simulator.client.power("reset")
    assert eventually(simulator.client.restarts) == ["Initiated by hard reset"]


def test_a_soft_shutdown_ends_with_power_off(simulator: Simulator) -> None:
    simulator.client.power("soft")
    eventually(lambda: not simulator.client.is_on())
    assert simulator.chassis_commands() == 1


def test_a_record_that_a_client_adds_is_read_back(simulator: Simulator) -> None:
    event = "0x0a 0x44 0 0 0x02 0 0 0 0 0x01 0 0x04 0x1d 0x01 0x6f 0x07 0xff 0xff"
    assert simulator.client.ipmitool("raw", *event.split()).returncode == 0
    assert simulator.client.restarts() == ["System Restart"]


@pytest.mark.parametrize(("username", "password"), [("admin", "wrong"), ("nobody", PASSWORD)])
def test_a_wrong_login_is_refused_and_executes_nothing(
    simulator: Simulator, username: str, password: str
) -> None:
    stranger = replace(simulator.client, username=username, password=password)
    assert stranger.ipmitool("chassis", "power", "reset").returncode != 0
    refusal = stranger.pyghmi_run(RESET)
    assert refusal.returncode != 0
    assert "IpmiException" in refusal.stderr
    assert simulator.chassis_commands() == 0
    assert simulator.client.is_on()


def test_a_client_that_left_may_come_back(simulator: Simulator) -> None:
    login = "__import__('pyghmi.ipmi.command', fromlist=['Command']).Command"
    again = f"{login}('127.0.0.1', b'admin', b'not-a-secret', port={simulator.client.port})"
    logout = "bmc.ipmi_session.logout()"
    answers = simulator.client.pyghmi(logout, f"{again}.get_power()")
    assert answers[1]["powerstate"] == "on"
