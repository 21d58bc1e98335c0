"""Real clients of the protocol, each a program of its own that a deadline can end."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SECONDS = 30
"""In which a client must have answered, however it is treated."""

USERNAME, PASSWORD = "admin", "not-a-secret"

_PYGHMI = """\
import json, sys
from pyghmi.ipmi import command

port, username, password, *lines = json.load(sys.stdin)
bmc = command.Command("127.0.0.1", username.encode(), password.encode(), port=port)
for line in lines:
    answer = eval(line, {"bmc": bmc})
    print(json.dumps(answer, default=lambda data: data.hex()))
bmc.ipmi_session.logout()
"""


@dataclass(frozen=True)
class Client:
    """Asks one BMC, by Debian's ipmitool and by pyghmi."""

    port: int
    folder: Path
    """Where the passwords are written, for they belong on no command line."""
    username: str = USERNAME
    password: str = PASSWORD

    def ipmitool(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """Runs one command of ipmitool."""
        file = self.folder / f"password-{self.password}"
        file.write_text(self.password)
        options = ["-I", "lanplus", "-C", "3", "-H", "127.0.0.1", "-p", str(self.port)]
        options += ["-U", self.username, "-f", str(file), "-R", "2", "-N", "1"]
        return subprocess.run(
            ["ipmitool", *options, *words],
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS,
        )

    def power(self, word: str) -> None:
        """A chassis command that must be accepted."""
        done = self.ipmitool("chassis", "power", word)
        assert done.returncode == 0, done.stderr

    def is_on(self) -> bool:
        """What `chassis power status` says."""
        said = self.ipmitool("chassis", "power", "status").stdout.strip()
        assert said in {"Chassis Power is on", "Chassis Power is off"}
        return said.endswith("on")

    def restarts(self) -> list[str]:
        """The causes of the restarts in the event log, oldest first."""
        lines = self.ipmitool("sel", "list").stdout.splitlines()
        return [line.split("|")[4].strip() for line in lines if "System Boot Initiated" in line]

    def pyghmi(self, *lines: str) -> list[Any]:
        """What pyghmi answers to each expression, in one session; `bmc` is its Command."""
        done = self.pyghmi_run(*lines)
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    def pyghmi_run(self, *lines: str) -> "subprocess.CompletedProcess[str]":
        """The same, as it ended."""
        return subprocess.run(
            [sys.executable, "-c", _PYGHMI],
            input=json.dumps([self.port, self.username, self.password, *lines]),
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS,
        )


def eventually(look: Callable[[], Any], seconds: float = 20) -> Any:
    """What `look` answers as soon as that is true, looked for again and again."""
    deadline = time.monotonic() + seconds
    while True:
        seen = look()
        if seen:
            return seen
        assert time.monotonic() < deadline, f"not so within {seconds} s: {look}"
        time.sleep(0.02)
