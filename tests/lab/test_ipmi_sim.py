import socket
from pathlib import Path

import pytest

from lab.ipmi_sim import IpmiSim
from tests.lab.client import eventually
from tests.lab.simulators import is_running, killed_while_it_runs


def test_it_says_in_order_what_it_executed(tmp_path: Path) -> None:
    with IpmiSim(tmp_path / "sim") as sim:
        for words in ("reset", "off", "on", "cycle"):
            assert sim.ask("chassis", "power", words).returncode == 0
        eventually(lambda: len(sim.executed()) == 5)
        assert sim.executed() == ["reset", "power_0", "power_1", "power_0", "power_1"]
        assert sim.chassis_commands() == 4


def test_a_command_during_a_power_cycle_is_counted(tmp_path: Path) -> None:
    with IpmiSim(tmp_path / "sim") as sim:
        sim.ask("chassis", "power", "cycle")
        sim.ask("chassis", "power", "off")
        assert sim.chassis_commands() == 2
        sim.ask("chassis", "power", "on")
        assert sim.executed() == ["power_0", "power_0", "power_1"]
        assert sim.chassis_commands() == 3


def test_a_power_cycle_is_one_command_while_somebody_polls(tmp_path: Path) -> None:
    with IpmiSim(tmp_path / "sim") as sim:
        sim.ask("chassis", "power", "cycle")
        eventually(lambda: "is on" in sim.ask("chassis", "power", "status").stdout)
        assert (sim.executed(), sim.chassis_commands()) == (["power_0", "power_1"], 1)


def test_it_can_hang_in_a_start_and_be_mended(tmp_path: Path) -> None:
    with IpmiSim(tmp_path / "sim", boot_seconds=0.1, restarts_visibly=False) as sim:
        sim.ask("chassis", "power", "reset")
        sim.restarts_visibly = True
        # This start is recorded and the one before it was not.
        sim.ask("chassis", "power", "cycle")
        listed = eventually(lambda: [s for s in [sim.ask("sel", "list").stdout] if "Boot" in s])
        assert listed[0].count("Boot Initiated") == listed[0].count("power up") == 1
        assert sim.chassis_commands() == 2


def test_a_start_can_be_held(tmp_path: Path) -> None:
    with IpmiSim(tmp_path / "sim", boot_seconds=0) as sim:
        sim.holds_starts = True
        sim.ask("chassis", "power", "reset")
        # As often as takes longer than a record.
        assert "Boot" not in "".join(sim.ask("sel", "list").stdout for _ in range(5))
        sim.holds_starts = False
        assert eventually(lambda: "Boot Initiated" in sim.ask("sel", "list").stdout)


def test_it_can_acknowledge_commands_and_ignore_them(tmp_path: Path) -> None:
    with IpmiSim(tmp_path / "sim", ignores_commands=True) as sim:
        assert sim.ask("chassis", "power", "off").returncode == 0
        assert (sim.power(), sim.executed()) == (True, [])
        sim.ignores_commands = False
        assert sim.ask("chassis", "power", "off").returncode == 0
        assert (sim.power(), sim.executed()) == (False, ["power_0"])


def test_a_reset_does_not_start_a_machine_that_is_off(tmp_path: Path) -> None:
    with IpmiSim(tmp_path / "sim", boot_seconds=0) as sim:
        sim.set_power(on=False)
        sim.ask("chassis", "power", "reset")
        sim.ask("chassis", "power", "on")
        listed = eventually(lambda: [s for s in [sim.ask("sel", "list").stdout] if "Boot" in s])
        assert "hard reset" not in listed[0]


def test_a_machine_outlives_its_bmc(tmp_path: Path) -> None:
    sim = IpmiSim(tmp_path / "sim")
    with sim:
        sim.ask("chassis", "power", "off")
    assert sim.ask("chassis", "power", "status").returncode != 0
    with sim:
        assert "is off" in sim.ask("chassis", "power", "status").stdout
        assert (sim.power(), sim.chassis_commands()) == (False, 1)


def test_one_that_cannot_listen_says_so_and_leaves_nothing(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        sim = IpmiSim(tmp_path / "sim", other.getsockname()[1])
        with pytest.raises((RuntimeError, TimeoutError)):
            sim.start()
    assert not is_running(int((tmp_path / "sim" / "pid").read_text()))


_STARTS_ONE = """\
import sys, time
from pathlib import Path
from lab.ipmi_sim import IpmiSim
sim = IpmiSim(Path(sys.argv[1]), boot_seconds=0.5)
sim.start()
sim.ask("chassis", "power", "reset")
print("started", flush=True)
time.sleep(60)
"""


def test_it_is_gone_when_who_started_it_was_killed(tmp_path: Path) -> None:
    assert killed_while_it_runs(_STARTS_ONE, str(tmp_path / "sim")) == "started"
    simulator = int((tmp_path / "sim" / "pid").read_text())
    recorder = int((tmp_path / "sim" / "booting").read_text())
    eventually(lambda: not is_running(simulator), 5)
    eventually(lambda: not is_running(recorder), 5)
