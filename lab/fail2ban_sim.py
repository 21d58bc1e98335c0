"""A simulated fail2ban: its socket, with jails and bans that no firewall knows of."""

import pickle
import socketserver
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Self

from services.security.adapters.fail2ban.codec import END, decode

MOST_BYTES = 64 * 1024
"""Of a command."""


class UnknownJailException(Exception):  # noqa: N818 - fail2ban's own name
    """As fail2ban calls it."""


# What is pickled of a class is its name, and it must be found by the name that clients look for.
UnknownJailException.__module__ = "fail2ban.exceptions"
_MODULE = ModuleType(UnknownJailException.__module__)
vars(_MODULE)[UnknownJailException.__name__] = UnknownJailException
sys.modules.setdefault("fail2ban", ModuleType("fail2ban"))
sys.modules.setdefault(_MODULE.__name__, _MODULE)


class Fail2banSim:
    """A running one, in a thread of its own; as a context manager.

    It knows what an API asks: `status`, `get JAIL banip --with-time`, `banned IP` and
    `set JAIL unbanip IP`.
    """

    def __init__(
        self, path: Path, jails: Mapping[str, Mapping[str, int]], clock: Callable[[], float]
    ) -> None:
        """`path` of its socket; `jails` have for each banned address how many seconds, -1 for good.

        `clock` answers seconds since 1970; it tells times in UTC.
        """
        self._path = path
        self._clock = clock
        now = int(clock())
        self._jails = {
            jail: {ip: (now, seconds) for ip, seconds in bans.items()}
            for jail, bans in jails.items()
        }
        path.unlink(missing_ok=True)
        self._server = socketserver.UnixStreamServer(str(path), self._handler())
        path.chmod(0o600)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def _handler(self) -> type[socketserver.BaseRequestHandler]:
        simulated = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                asked = b""
                while not asked.endswith(END) and len(asked) < MOST_BYTES:
                    part = self.request.recv(MOST_BYTES)
                    if not part:
                        return
                    asked += part
                answer = simulated.answer(decode(asked.removesuffix(END)))
                self.request.sendall(pickle.dumps(answer, 4) + END)

        return Handler

    def answer(self, command: object) -> tuple[int, object]:
        """What fail2ban answers: 0 and a result, or 1 and an exception."""
        try:
            match command:
                case ["status"]:
                    names = ", ".join(self._jails)
                    return 0, [("Number of jail", len(self._jails)), ("Jail list", names)]
                case ["get", str(jail), "banip", "--with-time"]:
                    return 0, [self._line(ip, *ban) for ip, ban in self._bans(jail).items()]
                case ["banned", str(ip)]:
                    return 0, [[jail for jail in self._jails if ip in self._bans(jail)]]
                case ["set", str(jail), "unbanip", str(ip)]:
                    return 0, 1 if self._bans(jail).pop(ip, None) else 0
        except KeyError:
            return 1, UnknownJailException(jail)
        return 1, ValueError("Invalid command")

    def _bans(self, jail: str) -> dict[str, tuple[int, int]]:
        bans = self._jails[jail]
        for ip, (since, seconds) in [*bans.items()]:
            if 0 <= seconds <= self._clock() - since:
                del bans[ip]
        return bans

    @staticmethod
    def _line(ip: str, since: int, seconds: int) -> str:
        end = "9999-12-31 23:59:59" if seconds < 0 else _text(since + seconds)
        return f"{ip} \t{_text(since)} + {seconds} = {end}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self._path.unlink(missing_ok=True)


def _text(seconds: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(seconds))
