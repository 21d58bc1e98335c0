"""Debian's `ipmi_sim` as one BMC on loopback, which counts the chassis commands it executed."""

import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from lab.process import Process

READY_SECONDS = 20.0

_LAN = """\
name "node"
set_working_mc 0x20
  startlan 1
    addr 127.0.0.1 {port}
    priv_limit admin
    allowed_auths_callback none md2 md5 straight
    allowed_auths_user none md2 md5 straight
    allowed_auths_operator none md2 md5 straight
    allowed_auths_admin none md2 md5 straight
    guid a123456789abcdefa123456789abcdef
  endlan
  chassis_control "{folder}/chassis.sh 0x20"
  user 1 true "" "" user 10 none md2 md5 straight
  user 2 true "{username}" "{password}" admin 10 none md2 md5 straight
"""

_EMULATION = """\
mc_setbmc 0x20
mc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02 persist_sdr
sel_enable 0x20 1000 0x0a
mc_enable 0x20
"""

# Add SEL Entry (IPMI 2.0 section 31.6) with a system event of the sensor type System Boot / Restart
# Initiated (table 42-3, 0x1d): what a machine's firmware records when it starts. It runs beside the
# simulator, which waits for this script before it answers.
_CHASSIS = """\
#!/bin/sh
cd '{folder}' || exit 1
started() {{
  [ -e restarts_visibly ] || return 0
  (
    sleep {boot_seconds}
    ipmitool -I lanplus -C 3 -H 127.0.0.1 -p {port} -U '{username}' -f password \\
      raw 0x0a 0x44 0 0 0x02 0 0 0 0 0x01 0 0x04 0x1d 0x01 0x6f "$1" 0xff 0xff
  ) </dev/null >/dev/null 2>&1 &
}}
case "$2 $3" in
  'get power') echo "power:$(cat power)" ;;
  'get boot') echo 'boot:default' ;;
  'set power')
    echo "power_$4" >>executed
    echo "$4" >power
    [ "$4" = 0 ] || started 0 ;;
  'set reset')
    echo reset >>executed
    started 1 ;;
esac
"""


class IpmiSim:
    """One simulated BMC; as a context manager, answering inside and gone after."""

    def __init__(
        self,
        folder: Path,
        *,
        port: int = 0,
        username: str = "admin",
        password: str = "not-a-secret",  # noqa: S107 - a simulator's
        boot_seconds: float = 0.3,
        restarts_visibly: bool = True,
    ) -> None:
        """`port` 0 takes a free one. A machine is on at first.

        `boot_seconds` after a start the machine records it in the BMC's event log, as firmware
        does; without `restarts_visibly` it does not, as a machine that hangs.
        """
        self.port = port or free_udp_port()
        self.username = username
        self.password = password
        self._folder = folder
        self._boot_seconds = boot_seconds
        self._restarts_visibly = restarts_visibly
        self._process: Process | None = None

    def start(self) -> None:
        """Starts it and returns when it answers."""
        folder = self._folder
        (folder / "state").mkdir(parents=True, exist_ok=True)
        names = {
            "folder": folder,
            "port": self.port,
            "username": self.username,
            "password": self.password,
            "boot_seconds": self._boot_seconds,
        }
        (folder / "lan.conf").write_text(_LAN.format(**names))
        (folder / "sim.emu").write_text(_EMULATION)
        (folder / "chassis.sh").write_text(_CHASSIS.format(**names))
        (folder / "chassis.sh").chmod(0o755)
        (folder / "password").write_text(self.password)
        if self._restarts_visibly:
            (folder / "restarts_visibly").touch()
        (folder / "executed").touch()
        self.set_power(on=True)
        command = ["ipmi_sim", "-n", "-c", "lan.conf", "-f", "sim.emu", "-s", "state"]
        command = ["sh", "-c", f'cd "$0" && exec {" ".join(command)}', str(folder)]
        self._process = Process("ipmi_sim", command, folder / "log", {})
        self._wait()

    def stop(self) -> None:
        """Ends it, as a BMC that loses its power."""
        if self._process is not None:
            self._process.kill()
            self._process = None

    def executed(self) -> list[str]:
        """What the chassis was told, in order: "reset", "power_0", "power_1"."""
        return (self._folder / "executed").read_text().split()

    def chassis_commands(self) -> int:
        """How many chassis commands were executed; off and on again is one, a power cycle."""
        return " ".join(self.executed()).replace("power_0 power_1", "cycle").count(" ") + (
            1 if self.executed() else 0
        )

    def set_power(self, *, on: bool) -> None:
        """Presses the machine's button; not counted as a command."""
        (self._folder / "power").write_text("1\n" if on else "0\n")

    def ask(self, *command: str) -> "subprocess.CompletedProcess[str]":
        """Runs Debian's ipmitool against it."""
        login = ["-I", "lanplus", "-C", "3", "-H", "127.0.0.1", "-p", str(self.port)]
        login += ["-U", self.username, "-f", str(self._folder / "password"), "-R", "1", "-N", "1"]
        return subprocess.run(
            ["ipmitool", *login, *command], capture_output=True, text=True, check=False
        )

    def _wait(self) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            if self.ask("chassis", "power", "status").returncode == 0:
                return
        raise TimeoutError(f"ipmi_sim does not answer, see {self._folder / 'log'}")

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


def free_udp_port() -> int:
    """A UDP port of loopback that nobody has at this moment."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
