"""A way to a server that can be cut, as the death of its process cuts it."""

import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self


class Way:
    """Passes on what comes in at its own address; as a context manager."""

    def __init__(self, to: tuple[str, int]) -> None:
        self._to = to
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._ends: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._cuts = 0

    def cut_at_next_call(self) -> None:
        """Who makes the next call through here hears nothing of it any more."""
        self._cuts = 1

    def called(self) -> None:
        """To be told of each call, by the server."""
        if self._cuts:
            self._cuts -= 1
            self._cut()

    def _cut(self) -> None:
        ends, self._ends = self._ends, []
        for end in ends:
            with suppress(OSError):  # where the other side was first
                end.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                caller, _ = self._listener.accept()
            except OSError:
                return  # closed
            server = socket.create_connection(self._to)
            self._ends += [caller, server]
            self._start(threading.Thread(target=_join, args=(caller, server)))

    def _start(self, thread: threading.Thread) -> None:
        self._threads.append(thread)
        thread.start()

    def __enter__(self) -> Self:
        self._start(threading.Thread(target=self._accept))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._threads[0].join()
        self._listener.close()
        self._cut()
        for thread in self._threads:
            thread.join()


def _join(caller: socket.socket, server: socket.socket) -> None:
    """Passes on in both ways until both have ended, and only then closes: nobody reads any more."""
    back = threading.Thread(target=_pass_on, args=(server, caller))
    back.start()
    _pass_on(caller, server)
    back.join()
    caller.close()
    server.close()


def _pass_on(one: socket.socket, other: socket.socket) -> None:
    with suppress(OSError):  # cut
        while data := one.recv(65536):
            other.sendall(data)
        other.shutdown(socket.SHUT_WR)
