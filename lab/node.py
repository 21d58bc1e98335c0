"""A machine in QEMU, with a disk, a network card that boots by iPXE, and a BMC."""

import os
import shutil
import signal
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from lab.ipmi_sim import IpmiSim
from lab.ports import free_port

HOST_SEEN = "10.0.2.2"
"""This machine's loopback, as the nodes see it."""

DISK_BYTES = 64 * 1024 * 1024
MEMORY_MIB = 512

_MACHINE = """\
#!/bin/sh
cd '{folder}' || exit 1
off() {{
  read -r pid <qemu.pid || return 0
  kill "$pid"
  while kill -0 "$pid"; do sleep 0.05; done
  rm -f qemu.pid
}}
on() {{
  # What the BMC was told to boot counts once; without it the disk comes first.
  network=2 disk=1
  if read -r boot <boot && [ "$boot" = pxe ]; then network=1 disk=2; fi
  rm -f boot
  exec qemu-system-x86_64 -M pc -accel tcg,thread=multi -m {memory} -display none -nodefaults \\
    -uuid {uuid} -serial file:serial.log -daemonize -pidfile qemu.pid \\
    -netdev 'user,id=net,bootfile={bootfile},hostfwd=tcp:127.0.0.1:{ssh_port}-:22' \\
    -device virtio-net-pci,netdev=net,mac={mac},bootindex="$network" \\
    -drive file=disk,format=raw,if=none,id=disk \\
    -device virtio-blk-pci,drive=disk,bootindex="$disk"
}}
case "$1" in
  off) off ;;
  on) on ;;
  reset) off; on ;;
esac
"""


class Node:
    """A machine that is off at first; as a context manager, gone after."""

    def __init__(
        self,
        folder: Path,
        *,
        bootfile: str,
        mac: str,
        uuid: str,
        password: str = "not-a-secret",  # noqa: S107 - a simulator's
    ) -> None:
        """Needs a folder of its own.

        `bootfile` is the URL of what its network card boots, where 10.0.2.2 is this machine's
        loopback. `mac` is the card's address, `password` the BMC's.
        """
        self.mac = mac
        self.ssh_port = free_port()
        """Port of this machine's loopback that leads to the node's SSH server."""
        self.uuid = uuid
        self.bmc = IpmiSim(folder, password=password)
        self.disk = folder / "disk"
        """Its disk, as a file."""
        self._names = {
            "folder": folder.absolute(),
            "memory": MEMORY_MIB,
            "uuid": uuid,
            "mac": mac,
            "bootfile": bootfile,
            "ssh_port": self.ssh_port,
        }

    def start(self) -> None:
        """Starts its BMC; the machine stays off. Raises as IpmiSim.start."""
        with self.disk.open("wb") as disk:
            disk.truncate(DISK_BYTES)
        machine = self.bmc.folder / "machine"
        machine.write_text(_MACHINE.format(**self._names))
        machine.chmod(0o755)
        self.bmc.set_power(on=False)
        self.bmc.start()

    def stop(self) -> None:
        """Ends both."""
        self.bmc.stop()
        if (pid := self.pid()) is not None:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        shutil.rmtree(self.bmc.folder, ignore_errors=True)

    def pid(self) -> int | None:
        """QEMU's process; None while the machine is off."""
        file = self.bmc.folder / "qemu.pid"
        return int(file.read_text()) if file.exists() else None

    def said(self) -> str:
        """What it wrote on its serial line since it was switched on last."""
        log = self.bmc.folder / "serial.log"
        return log.read_text(errors="replace") if log.exists() else ""

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
