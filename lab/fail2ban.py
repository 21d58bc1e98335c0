"""A private fail2ban: Debian's server, with jails that read log files of ours."""

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from lab.process import Process

START_SECONDS = 15.0

BATCH = 2_000
"""How many addresses are given to one command. The length of a command line is limited."""

_SERVER = """\
[Definition]
loglevel = INFO
logtarget = {folder}/fail2ban.log
syslogsocket = auto
socket = {socket}
pidfile = {folder}/pid
dbfile = None
dbpurgeage = 1d
allowipv6 = yes
"""

_FILTER = """\
[Definition]
failregex = ^ refused <HOST>$
"""

_JAIL = """\
[{name}]
enabled = true
backend = polling
filter = refused
logpath = {log}
maxretry = 1
findtime = 600
bantime = {seconds}
action = {action}
ignoreself = false
"""


class Fail2ban:
    """A running server; as a context manager. It answers from the start on, at `socket`.

    Needs a folder with a short name: the path of a socket has at most 107 bytes.
    """

    def __init__(
        self,
        folder: Path,
        jails: Mapping[str, Path],
        *,
        action: Sequence[str] = (),
        ban_seconds: int = 600,
        time_zone: str = "UTC",
    ) -> None:
        """`jails` are log files by jail: a line of `refusal` in one is a ban.

        `action` are the lines of an action's section [Definition], none: a ban does nothing. A ban
        is for `ban_seconds`, -1: for good. The server lives in a `time_zone` (IANA).
        """
        self.folder = folder
        self.socket = folder / "sock"
        self._jails = dict(jails)
        self._action = list(action)
        self._ban_seconds = ban_seconds
        self._environment = {"TZ": time_zone}
        self._process: Process | None = None

    @staticmethod
    def refusal(ip: str) -> str:
        """A line of a log that bans an address."""
        return f"{time.time():.0f} refused {ip}\n"

    def client(self, *command: str) -> str:
        """What fail2ban's own client prints. Raises CalledProcessError: it was refused."""
        return subprocess.run(
            ["fail2ban-client", *self._options, *command],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, **self._environment},
        ).stdout.strip()

    def ban(self, jail: str, *ips: str) -> None:
        """Bans addresses."""
        for first in range(0, len(ips), BATCH):
            self.client("set", jail, "banip", *ips[first : first + BATCH])

    def unban(self, jail: str, ip: str) -> bool:
        """Lifts a ban; False: there was none."""
        return self.client("set", jail, "unbanip", ip) == "1"

    def banned(self, jail: str) -> list[str]:
        """The addresses that a jail blocks, as fail2ban writes them."""
        return self.client("get", jail, "banip").split()

    def start(self) -> None:
        """Starts it, and waits until it answers. It knows no ban of before."""
        command = ["fail2ban-server", *self._options, "-x", "-f", "start"]
        self._process = Process("fail2ban", command, self.folder / "output", self._environment)
        deadline = time.monotonic() + START_SECONDS
        while not self._ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"fail2ban does not start: {self._process.last_words()}")
            time.sleep(0.05)

    def stop(self) -> None:
        """Stops it."""
        if self._process is not None:
            self._process.stop()
            self._process = None

    def __enter__(self) -> Self:
        config = self.folder / "config"
        for name in ("filter.d", "action.d"):
            (config / name).mkdir(parents=True)
        server = _SERVER.format(folder=self.folder, socket=self.socket)
        (config / "fail2ban.conf").write_text(server)
        (config / "filter.d" / "refused.conf").write_text(_FILTER)
        if self._action:
            lines = "\n".join(["[Definition]", *self._action, ""])
            (config / "action.d" / "given.conf").write_text(lines)
        for log in self._jails.values():
            log.touch()
        (config / "jail.conf").write_text(
            "".join(
                _JAIL.format(
                    name=name,
                    log=log,
                    seconds=self._ban_seconds,
                    action="given" if self._action else "",
                )
                for name, log in self._jails.items()
            )
        )
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def _options(self) -> list[str]:
        paths = {"-c": self.folder / "config", "-s": self.socket, "-p": self.folder / "pid"}
        return [word for option, path in paths.items() for word in (option, str(path))]

    def _ready(self) -> bool:
        """Whether it answers, and has started its jails."""
        try:
            jails = self.client("status").partition("Number of jail:")[2].split()
        except subprocess.CalledProcessError:
            return False
        return jails[:1] == [str(len(self._jails))]
