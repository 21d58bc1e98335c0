"""Debian's `ipmi_sim` as one BMC on loopback, which counts the chassis commands it executed."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from lab.ports import free_port
from lab.process import Process
from lab.sensors import SENSORS, Sensor, record

READY_SECONDS = 20.0

_COMMAND = "echo $$ >pid && exec ipmi_sim -d -c lan.conf -f sim.emu -s state <>console"
"""Its console is a pipe that never ends, for it stops at its input's end; _CHASSIS needs `-d`."""

_BY_CYCLE = "by-cycle"
"""What _CHASSIS writes behind a "power_1" that nobody asked for: the end of a power cycle."""

_LAN = """\
name "node"
set_working_mc 0x20
  startlan 1
    addr {address} {port}
    priv_limit admin
    allowed_auths_callback none md2 md5 straight
    allowed_auths_user none md2 md5 straight
    allowed_auths_operator none md2 md5 straight
    allowed_auths_admin none md2 md5 straight
    guid a123456789abcdefa123456789abcdef
  endlan
{serial}  chassis_control "{folder}/chassis.sh 0x20"
  user 1 true "" "" user 10 none md2 md5 straight
  user 2 true "{username}" "{password}" admin 10 none md2 md5 straight
"""

_EMULATION = """\
mc_setbmc 0x20
mc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02 persist_sdr
sel_enable 0x20 1000 0x0a
{sensors}
mc_enable 0x20
"""

# The simulator runs this for each chassis command and waits for it.
#
# A power cycle arrives as power 0 and, a second later, as get power and power 1. A client that
# reads the power and then switches on looks the same from here. What tells them apart is the
# simulator's log: a client's command came in a datagram, between the get and the set, and the end
# of a cycle came in none. So the get marks its place in the log, this script's standard error.
#
# A start is recorded beside the simulator, with Add SEL Entry (IPMI 2.0 section 31.6) of a system
# event of the sensor type System Boot / Restart Initiated (table 42-3, 0x1d), as a machine's
# firmware does it; unless by then the machine was switched off or started again, or the simulator
# has ended.
#
# A program `machine` in the folder, if there is one, is told what the chassis does: on, off, reset.
_CHASSIS = """\
#!/bin/sh
cd '{folder}' || exit 1
read -r power <power
by_cycle() {{
  tail -n 9 log |
    awk '/chassis: get power/ {{ y = 1 }} /Raw LAN receive/ {{ y = 0 }} END {{ exit !y }}'
}}
started() {{
  echo $$ >booting
  [ -e restarts_visibly ] || return 0
  (
    sleep {boot_seconds}
    while [ -e holds_starts ]; do sleep 0.1; done
    read -r booting <booting
    [ "$booting" = $$ ] && [ -e "/proc/$(cat pid)/exe" ] || exit 0
    exec ipmitool -I lanplus -C 3 -H {address} -p {port} -U '{username}' -f password -N 1 -R 3 \
      raw 0x0a 0x44 0 0 0x02 0 0 0 0 0x01 0 0x04 0x1d 0x01 0x6f "$1" 0xff 0xff
  ) </dev/null >/dev/null 2>&1 &
}}
machine() {{
  [ ! -x machine ] || ./machine "$1" </dev/null >>machine.log 2>&1
}}
case "$2 $3" in
  'get power')
    echo 'chassis: get power' >&2
    echo "power:$power"
    exit ;;
  'get boot')
    echo 'boot:default'
    exit ;;
esac
if [ -e ignores_commands ]; then exit 0; fi
case "$2 $3 $4" in
  'set power 0')
    echo power_0 >>executed
    echo 0 >power
    machine off
    echo off >booting ;;
  'set power 1')
    if by_cycle; then echo power_1 {by_cycle} >>executed; else echo power_1 >>executed; fi
    echo 1 >power
    [ "$power" = 1 ] || {{ machine on; started 0; }} ;;
  'set reset 1')
    echo reset >>executed
    [ "$power" = 0 ] || {{ machine reset; started 1; }} ;;
  'set boot '*)
    echo "$4" >boot ;;
  'set shutdown 1')
    echo soft_shutdown >>executed
    echo 0 >power
    machine off
    echo off >booting ;;
esac
"""


class IpmiSim:
    """One simulated BMC; as a context manager, answering inside and gone after."""

    def __init__(
        self,
        folder: Path,
        port: int = 0,
        username: str = "admin",
        password: str = "not-a-secret",  # noqa: S107 - a simulator's
        *,
        address: str = "127.0.0.1",
        boot_seconds: float = 0.3,
        restarts_visibly: bool = True,
        ignores_commands: bool = False,
        serial_port: int = 0,
        sensors: Sequence[Sensor] = SENSORS,
    ) -> None:
        """Needs a folder of its own; `port` 0 takes a free one. A machine is on at first.

        `boot_seconds` after a start the machine records it in the BMC's event log, as firmware
        does; without `restarts_visibly` it does not, as a machine that hangs. A BMC that
        `ignores_commands` acknowledges them and does nothing. Both may be set while it runs.

        `serial_port` is where the machine's serial line is, see lab.serial_line; 0: it has none.
        """
        self.address = address
        self.port = port or free_port(socket.SOCK_DGRAM)
        self.username = username
        self.password = password
        self._folder = folder.absolute()
        self._boot_seconds = boot_seconds
        self._serial = f'  sol "telnet:127.0.0.1:{serial_port}" 115200\n' if serial_port else ""
        self._sensors = _sensors(sensors)
        self._process: Process | None = None
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder / "executed").touch()
        self.set_power(on=True)
        self.restarts_visibly = restarts_visibly
        self.ignores_commands = ignores_commands

    @property
    def restarts_visibly(self) -> bool:
        """Whether a start of the machine is recorded in the event log."""
        return (self._folder / "restarts_visibly").exists()

    @restarts_visibly.setter
    def restarts_visibly(self, value: bool) -> None:
        self._set_flag("restarts_visibly", value)

    @property
    def ignores_commands(self) -> bool:
        """Whether chassis commands are acknowledged and nothing else."""
        return (self._folder / "ignores_commands").exists()

    @ignores_commands.setter
    def ignores_commands(self, value: bool) -> None:
        self._set_flag("ignores_commands", value)

    @property
    def holds_starts(self) -> bool:
        """Whether a start of the machine takes until this is unset."""
        return (self._folder / "holds_starts").exists()

    @holds_starts.setter
    def holds_starts(self, value: bool) -> None:
        self._set_flag("holds_starts", value)

    def start(self) -> None:
        """Starts it and returns when it answers; a second time with an empty event log.

        Start it from the thread that lives longest: it ends with that thread. Raises TimeoutError,
        or RuntimeError with its last words when it ended by itself.
        """
        folder = self._folder
        # What it keeps there is doubled when it starts on it again.
        shutil.rmtree(folder / "state", ignore_errors=True)
        (folder / "state").mkdir()
        names = {
            "folder": folder,
            "address": self.address,
            "port": self.port,
            "username": self.username,
            "password": self.password,
            "boot_seconds": self._boot_seconds,
            "serial": self._serial,
            "by_cycle": _BY_CYCLE,
        }
        (folder / "lan.conf").write_text(_LAN.format(**names))
        (folder / "sim.emu").write_text(_EMULATION.format(sensors=self._sensors))
        (folder / "chassis.sh").write_text(_CHASSIS.format(**names))
        (folder / "chassis.sh").chmod(0o755)
        (folder / "password").write_text(self.password)
        if not (folder / "console").exists():
            os.mkfifo(folder / "console")
        command = ["sh", "-c", f'cd "$0" && {_COMMAND}', str(folder)]
        self._process = Process("ipmi_sim", command, folder / "log", {})
        try:
            self._wait(self._process)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Ends it, as a BMC that loses its power, and whatever it started."""
        if self._process is not None:
            # A record that is due is written by a process of its group, which outlives it.
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.kill()
            self._process = None

    def executed(self) -> list[str]:
        """What the chassis was told, in order: "reset", "power_0", "power_1", "soft_shutdown".

        A power cycle is "power_0" and, a second later, "power_1".
        """
        return [line.split()[0] for line in self._executed()]

    def chassis_commands(self) -> int:
        """How many chassis commands were executed.

        A power cycle is one, from its first half on; off and on again by two commands are two.
        """
        return sum(not line.endswith(_BY_CYCLE) for line in self._executed())

    @property
    def folder(self) -> Path:
        """Where its files are, and a program `machine` may be that is told what it does."""
        return self._folder

    def boot(self) -> str:
        """What it was told to boot: "pxe", "disk"; empty: nothing."""
        boot = self._folder / "boot"
        said = boot.read_text().strip() if boot.exists() else ""
        return "disk" if said == "default" else said  # the simulator's name for the disk

    def power(self) -> bool:
        """Whether the machine is on."""
        return (self._folder / "power").read_text() == "1\n"

    def set_power(self, on: bool) -> None:
        """Presses the machine's button; not counted as a command, and no start is recorded."""
        (self._folder / "power").write_text("1\n" if on else "0\n")
        (self._folder / "booting").write_text("off\n")

    def ask(self, *command: str) -> "subprocess.CompletedProcess[str]":
        """Runs Debian's ipmitool against it."""
        login = ["-I", "lanplus", "-C", "3", "-H", self.address, "-p", str(self.port)]
        login += ["-U", self.username, "-f", str(self._folder / "password"), "-R", "1", "-N", "1"]
        return subprocess.run(
            ["ipmitool", *login, *command], capture_output=True, text=True, check=False
        )

    def _executed(self) -> list[str]:
        return (self._folder / "executed").read_text().splitlines()

    def _set_flag(self, name: str, value: bool) -> None:
        flag = self._folder / name
        if value:
            flag.touch()
        else:
            flag.unlink(missing_ok=True)

    def _wait(self, process: Process) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            if self.ask("chassis", "power", "status").returncode == 0:
                return
            if process.poll() is not None:
                raise RuntimeError(f"ipmi_sim ended: {process.last_words()}")
        raise TimeoutError(f"ipmi_sim does not answer, see {process.log}")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


def _sensors(sensors: Sequence[Sensor]) -> str:
    """Sensors of a machine that is on, in the simulator's own language."""
    lines = []
    for number, sensor in enumerate(sensors, start=1):
        lines += [
            f"sensor_add 0x20 0 {number} {sensor.kind:#x} 0x01",
            # Without scanning there is no reading.
            f"sensor_set_event_support 0x20 0 {number} enable scanning none" + 4 * f" {15 * '0'}",
            f"sensor_set_value 0x20 0 {number} {sensor.raw_on} 0",
            "main_sdr_add 0x20 " + " ".join(f"{byte:#04x}" for byte in record(number - 1, sensor)),
        ]
    return "\n".join(lines)
