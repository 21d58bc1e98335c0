import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.stack import ROOT
from tests.lab import simulators
from tests.lab.client import PASSWORD, Client, eventually
from tests.lab.simulators import Fleet, is_running, killed_while_it_runs


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    with simulators.fleet(tmp_path) as running:
        yield running


def test_a_machine_that_is_off_has_no_fan_and_no_voltage(fleet: Fleet) -> None:
    fleet.client.power("off")
    (values,) = fleet.client.pyghmi("{s.name: s.value for s in bmc.get_sensor_data()}")
    assert (values["FAN 1"], values["12V"]) == (0, 0)


def test_a_reset_says_its_cause(fleet: Fleet) -> None:
    assert "pushbutton" in fleet.client.ipmitool("chassis", "restart_cause").stdout
    fleet.client.power("reset")
    assert "power control command" in fleet.client.ipmitool("chassis", "restart_cause").stdout


def test_a_record_has_the_time_of_the_event_log_s_clock(fleet: Fleet) -> None:
    fleet.client.power("reset")
    eventually(fleet.client.restarts)
    events, time = fleet.client.pyghmi(
        "list(bmc.get_event_log())", "bmc.raw_command(netfn=0x0a, command=0x48)"
    )
    now = int.from_bytes(bytes.fromhex(time["data"]), "little")
    assert now - 60 <= events[0]["timecode"] <= now


def test_a_machine_that_is_off_refuses_reset_cycle_and_soft_and_executes_none(
    fleet: Fleet,
) -> None:
    fleet.client.power("off")
    for word in ("reset", "cycle", "soft"):
        assert fleet.client.ipmitool("chassis", "power", word).returncode != 0
    assert not fleet.client.is_on()
    assert fleet.executed() == ["power_off"]


def test_a_boot_device_is_for_the_next_start_only(fleet: Fleet) -> None:
    def device() -> str:
        said = fleet.client.ipmitool("chassis", "bootparam", "get", "5").stdout
        (line,) = [each for each in said.splitlines() if "Boot Device Selector" in each]
        return line.split(":")[1].strip()

    assert device() == "No override"
    assert fleet.client.ipmitool("chassis", "bootdev", "pxe").returncode == 0
    assert device() == "Force PXE"
    (seen,) = fleet.client.pyghmi("bmc.get_bootdev()")
    assert seen["bootdev"] == "network"
    fleet.client.power("reset")
    assert device() == "No override"


def test_a_boot_device_may_be_set_for_good(fleet: Fleet) -> None:
    (told,) = fleet.client.pyghmi("bmc.set_bootdev('network', persist=True)")
    assert told == {"bootdev": "network"}
    fleet.client.power("cycle")
    eventually(fleet.client.is_on)
    (seen,) = fleet.client.pyghmi("bmc.get_bootdev()")
    assert (seen["bootdev"], seen["persistent"]) == ("network", True)


def test_requests_that_are_too_short_are_refused_and_end_nothing(fleet: Fleet) -> None:
    for request in ("0x0a 0x43", "0x0a 0x23 0", "0x04 0x2d", "0x00 0x08", "0x00 0x08 5 1"):
        done = fleet.client.ipmitool("raw", *request.split())
        assert "rsp=0xc7" in done.stderr, request
    assert fleet.client.is_on()


def test_a_fleet_s_machines_are_apart(tmp_path: Path) -> None:
    with simulators.fleet(tmp_path, bmcs=8) as fleet:
        fleet.clients[3].power("off")
        fleet.clients[5].power("reset")
        assert [each.is_on() for each in fleet.clients] == [number != 3 for number in range(8)]
        executed = {hostname: fleet.executed(hostname) for hostname in fleet.hostnames}
        nothing: dict[str, list[str]] = {key: [] for key in fleet.hostnames}
        assert executed == nothing | {"ns4": ["power_off"], "ns6": ["reset"]}


def test_no_password_is_in_the_log(fleet: Fleet) -> None:
    Client(fleet.client.port, fleet.log.parent, password="wrong").ipmitool("mc", "info")
    fleet.client.power("reset")
    assert PASSWORD not in fleet.log.read_text()
    assert "wrong" not in fleet.log.read_text()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_when_it_is_told_to(tmp_path: Path, number: signal.Signals) -> None:
    fleet = Fleet(tmp_path)
    with subprocess.Popen(
        fleet.command, stdout=subprocess.PIPE, text=True, env={"PYTHONPATH": str(ROOT)}
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "1 BMCs listen\n"
        process.send_signal(number)
        assert process.wait(5) == 0


_STARTS_ONE = """\
import json, subprocess, sys, time
process = subprocess.Popen(json.loads(sys.argv[1]), stdout=subprocess.PIPE, text=True)
process.stdout.readline()
print(process.pid, flush=True)
time.sleep(60)
"""


def test_it_is_gone_when_who_started_it_was_killed(tmp_path: Path) -> None:
    command = json.dumps(Fleet(tmp_path).command)
    pid = int(killed_while_it_runs(_STARTS_ONE, command))
    eventually(lambda: not is_running(pid), 5)
