"""A simulated fail2ban: its socket, with jails and bans that no firewall knows of."""

import pickle
import socketserver
import struct
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from services.security.adapters.fail2ban.codec import END, decode

MOST_BYTES = 64 * 1024
"""Of a command."""


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
                self.request.sendall(simulated.answer(decode(asked.removesuffix(END))) + END)

        return Handler

    def answer(self, command: object) -> bytes:
        """What fail2ban answers, pickled: 0 and a result, or 1 and an exception."""
        try:
            match command:
                case ["status"]:
                    names = ", ".join(self._jails)
                    return _done([("Number of jail", len(self._jails)), ("Jail list", names)])
                case ["get", str(jail), "banip", "--with-time"]:
                    return _done([self._line(ip, *ban) for ip, ban in self._bans(jail).items()])
                case ["banned", str(ip)]:
                    return _done([[jail for jail in self._jails if ip in self._bans(jail)]])
                case ["set", str(jail), "unbanip", str(ip)]:
                    return _done(1 if self._bans(jail).pop(ip, None) else 0)
        except KeyError:
            return _unknown_jail(jail)
        return pickle.dumps((1, ValueError("Invalid command")), 4)

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


def _done(result: object) -> bytes:
    return pickle.dumps((0, result), 4)


def _unknown_jail(jail: str) -> bytes:
    """(1, UnknownJailException(jail)), of a class that is not installed here."""
    name = jail.encode()
    # PROTO 2, BININT1, GLOBAL, BINUNICODE, TUPLE1, REDUCE, TUPLE2, STOP
    of_class = b"\x80\x02K\x01cfail2ban.exceptions\nUnknownJailException\n"
    return of_class + b"X" + struct.pack("<I", len(name)) + name + b"\x85R\x86."
