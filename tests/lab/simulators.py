"""Both simulators behind one face, so that one contract is asked of both."""

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from lab.ipmi_sim import IpmiSim
from lab.ports import free_port
from lab.process import Process
from lab.stack import ROOT
from tests.lab.client import PASSWORD, USERNAME, Client, eventually

BOOT_SECONDS = 0.2


class Simulator(Protocol):
    """One BMC that runs."""

    @property
    def client(self) -> Client: ...

    def chassis_commands(self) -> int: ...


class Sim:
    """ipmi_sim."""

    def __init__(self, sim: IpmiSim, folder: Path) -> None:
        self.sim = sim
        self.client = Client(sim.port, folder)

    def chassis_commands(self) -> int:
        return self.sim.chassis_commands()


class Fleet:
    """The fleet's process, with its first BMC as the one that is asked."""

    def __init__(self, folder: Path, bmcs: int = 1) -> None:
        self.log = folder / "log"
        self.hostnames = [f"ns{number}" for number in range(1, bmcs + 1)]
        self.clients = [Client(free_port(socket.SOCK_DGRAM), folder) for _ in range(bmcs)]
        self.client = self.clients[0]
        self.config = folder / "fleet.json"
        login = {"address": "127.0.0.1", "username": USERNAME, "password": PASSWORD}
        entries = [
            {"hostname": hostname, "mac": "0c:c4:7a:00:00:01", "port": client.port, **login}
            for hostname, client in zip(self.hostnames, self.clients, strict=True)
        ]
        self.config.write_text(json.dumps({"url": "http://127.0.0.1:1", "bmcs": entries}))
        self.command = [sys.executable, "-m", "lab.fleet", "--config", str(self.config)]
        self.command += ["--boot-seconds", str(BOOT_SECONDS)]

    def start(self) -> Process:
        process = Process("fleet", self.command, self.log, {"PYTHONPATH": str(ROOT)})
        eventually(lambda: f"{len(self.clients)} BMCs listen\n" in self.log.read_text())
        return process

    def executed(self, hostname: str = "ns1") -> list[str]:
        """What this machine's BMC says that it executed."""
        lines = self.log.read_text().splitlines()
        entries = [json.loads(line) for line in lines if line.startswith("{")]
        return [each["executed"] for each in entries if each["hostname"] == hostname]

    def chassis_commands(self) -> int:
        return len(self.executed())


@contextmanager
def ipmi_sim(folder: Path) -> Iterator[Sim]:
    with IpmiSim(folder / "sim", boot_seconds=BOOT_SECONDS) as sim:
        yield Sim(sim, folder)


@contextmanager
def fleet(folder: Path, bmcs: int = 1) -> Iterator[Fleet]:
    running = Fleet(folder, bmcs)
    process = running.start()
    try:
        yield running
    finally:
        process.stop()


def killed_while_it_runs(program: str, *arguments: str) -> str:
    """Starts a Python program, kills it with SIGKILL after its first line, and answers the line."""
    with subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        stdout=subprocess.PIPE,
        text=True,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline().strip()
        process.send_signal(signal.SIGKILL)
    return line


def is_running(pid: int) -> bool:
    """Whether a process has this id and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
