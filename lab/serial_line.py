"""The serial line of a simulated machine, as TCP on loopback, which `ipmi_sim` connects to."""

import socket
import threading
from types import TracebackType
from typing import Self

BREAK = b"\xff\xf3"
"""A serial break as Telnet says it (RFC 854)."""

_NEGOTIATION_BYTES = 12
"""What ipmi_sim says first: four options of Telnet, three bytes each."""


class SerialLine:
    """Keeps what is typed, and writes what it is told; as a context manager."""

    def __init__(self) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self.written = 0
        """How many bytes the machine could write so far."""
        self._changed = threading.Condition()
        self._connection: socket.socket | None = None
        self._typed = b""
        self._closed = False
        threading.Thread(target=self._run, daemon=True).start()

    def write(self, data: bytes) -> None:
        """The machine writes. Blocks when nobody takes it, and until there is somebody."""
        with self._changed:
            self._changed.wait_for(lambda: self._connection is not None)
            connection = self._connection
        while connection is not None and data:
            sent = connection.send(data[:4096])
            self.written += sent
            data = data[sent:]

    def typed(self, at_least: int = 1, seconds: float = 5.0) -> bytes:
        """All that was typed so far; waits for a number of bytes of it."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._typed) >= at_least, seconds)
            return self._typed

    def close(self) -> None:
        """Unplugs it."""
        self._closed = True
        self._server.close()
        if self._connection is not None:
            self._connection.close()

    def _run(self) -> None:
        while not self._closed:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            rest = _NEGOTIATION_BYTES
            with self._changed:
                self._connection = connection
                self._changed.notify_all()
            while data := _receive(connection):
                said, rest = data[rest:], max(0, rest - len(data))
                with self._changed:
                    self._typed += said
                    self._changed.notify_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _receive(connection: socket.socket) -> bytes:
    try:
        return connection.recv(65536)
    except OSError:
        return b""
