"""The simulators themselves, checked with Debian's own client of the real protocol."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lab.ipmi_sim import IpmiSim, free_udp_port
from lab.process import Process
from lab.stack import ROOT
from tests.integration.conftest import eventually

Ask = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[tuple[Ask, Path]]:
    """One BMC of the simulated fleet, and ipmitool to ask it."""
    port, log = free_udp_port(), tmp_path / "log"
    entry = {"hostname": "ns1", "address": "127.0.0.1", "port": port}
    login = {"username": "admin", "password": "not-a-secret"}
    (tmp_path / "fleet.json").write_text(json.dumps({"bmcs": [entry | login]}))
    (tmp_path / "password").write_text("not-a-secret")
    (tmp_path / "wrong").write_text("wrong")
    command = [sys.executable, "-m", "lab.fleet", "--boot-seconds", "0.2"]
    command += ["--config", str(tmp_path / "fleet.json")]
    process = Process("fleet", command, log, {"PYTHONPATH": str(ROOT)})
    eventually(lambda: "listen" in log.read_text())

    def ask(*words: str, password: str = "password") -> "subprocess.CompletedProcess[str]":
        options = ["-I", "lanplus", "-C", "3", "-H", "127.0.0.1", "-p", str(port), "-U", "admin"]
        options += ["-f", str(tmp_path / password), "-R", "1", "-N", "1"]
        return subprocess.run(
            ["ipmitool", *options, *words], capture_output=True, text=True, check=False
        )

    yield ask, log
    process.stop()


def test_ipmitool_reads_power_sensors_and_an_empty_log_of_a_fleet_bmc(
    fleet: tuple[Ask, Path],
) -> None:
    ask, _ = fleet
    assert ask("chassis", "power", "status").stdout.strip() == "Chassis Power is on"
    assert "no entries" in ask("sel", "list").stderr + ask("sel", "list").stdout
    sensors = {
        line.split("|")[0].strip(): [each.strip() for each in line.split("|")[1:3]]
        for line in ask("sensor", "list").stdout.splitlines()
    }
    assert sensors == {
        "CPU Temp": ["47.000", "degrees C"],
        "Inlet Temp": ["23.000", "degrees C"],
        "FAN 1": ["5400.000", "RPM"],
        "12V": ["12.060", "Volts"],
    }


def test_a_reset_of_a_fleet_bmc_is_counted_recorded_and_says_its_cause(
    fleet: tuple[Ask, Path],
) -> None:
    ask, log = fleet
    assert ask("chassis", "power", "reset").returncode == 0
    assert "chassis power control command" in ask("chassis", "restart_cause").stdout
    recorded = eventually(lambda: [s for s in [ask("sel", "list").stdout] if "Boot" in s])
    assert "System Boot Initiated" in recorded[0]
    assert "Initiated by hard reset" in recorded[0]
    assert log.read_text().count('"executed": "reset"') == 1


def test_a_fleet_bmc_that_is_off_refuses_a_reset(fleet: tuple[Ask, Path]) -> None:
    ask, log = fleet
    ask("chassis", "power", "off")
    assert ask("chassis", "power", "reset").returncode != 0
    assert ask("chassis", "power", "status").stdout.strip() == "Chassis Power is off"
    assert '"reset"' not in log.read_text()


def test_a_fleet_bmc_refuses_a_wrong_password(fleet: tuple[Ask, Path]) -> None:
    ask, _ = fleet
    assert ask("chassis", "power", "status", password="wrong").returncode != 0


def test_ipmi_sim_counts_what_it_executed(tmp_path: Path) -> None:
    with IpmiSim(tmp_path / "sim") as sim:
        assert sim.chassis_commands() == 0
        for words, executed in (
            ("reset", ["reset"]),
            ("cycle", ["reset", "power_0", "power_1"]),
            ("off", ["reset", "power_0", "power_1", "power_0"]),
        ):
            assert sim.ask("chassis", "power", words).returncode == 0
            eventually(lambda: sim.executed() == executed)  # noqa: B023 - asked within the turn
        assert sim.chassis_commands() == 3


def test_ipmi_sim_records_a_start_as_firmware_does(tmp_path: Path) -> None:
    with IpmiSim(tmp_path / "sim", boot_seconds=0.1) as sim:
        sim.ask("chassis", "power", "reset")
        assert eventually(lambda: "System Boot Initiated" in sim.ask("sel", "list").stdout)


def test_ipmi_sim_can_hang_in_a_start(tmp_path: Path) -> None:
    with IpmiSim(tmp_path / "sim", restarts_visibly=False) as sim:
        sim.ask("chassis", "power", "reset")
        assert sim.executed() == ["reset"]
        assert "Boot" not in sim.ask("sel", "list").stdout
