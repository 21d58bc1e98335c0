"""A UDP proxy that loses datagrams, to stand before a BMC."""

import random
import select
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from enum import Enum
from types import TracebackType
from typing import Self

_MAX_DATAGRAM = 65536


class Direction(Enum):
    """Which way a datagram goes."""

    REQUEST = "to the BMC"
    REPLY = "from the BMC"


Drop = Callable[[bytes, Direction], bool]
Mangle = Callable[[bytes, Direction], list[bytes]]


class LossyProxy:
    """Passes datagrams to a port of loopback and back; as a context manager.

    Each one is lost with the probability `loss`, independently, in both directions; and each one
    for which `drop` says so. What is left passes as what `mangle` makes of it: itself twice, late
    behind another, with nonsense.
    """

    def __init__(self, target_port: int, loss: float = 0.0, seed: int = 0) -> None:
        """`loss`, 0 to 1, `drop` and `mangle` may be set while it runs."""
        self.loss = loss
        self.drop: Drop = lambda _datagram, _direction: False
        self.mangle: Mangle = lambda datagram, _direction: [datagram]
        self.dropped = 0
        self.passed = 0
        self._random = random.Random(seed)
        self._target = ("127.0.0.1", target_port)
        self._front = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._front.bind(("127.0.0.1", 0))
        self.port: int = self._front.getsockname()[1]
        self._wake, self._woken = socket.socketpair()
        self._backs: dict[tuple[str, int], socket.socket] = {}
        self._clients: dict[socket.socket, tuple[str, int]] = {}
        self._thread = threading.Thread(target=self._run, daemon=True)

    @property
    def clients(self) -> int:
        """How many there were; for each it has a socket."""
        return len(self._backs)

    def start(self) -> None:
        """Begins to pass."""
        self._thread.start()

    def stop(self) -> None:
        """Ends, and closes every socket."""
        self._wake.send(b"x")
        self._thread.join()
        for each in (self._front, self._wake, self._woken, *self._backs.values()):
            each.close()

    def _run(self) -> None:
        while True:
            ready, _, _ = select.select([self._front, self._woken, *self._clients], [], [])
            if self._woken in ready:
                return
            for each in ready:
                self._pass(each)

    def _pass(self, from_socket: socket.socket) -> None:
        try:
            datagram, client = from_socket.recvfrom(_MAX_DATAGRAM)
        except ConnectionError:
            return  # the BMC is not listening
        except BlockingIOError:
            return  # it was readable for an error, which a send has taken since
        if from_socket is not self._front:
            if self._survives(datagram, Direction.REPLY):
                for each in self.mangle(datagram, Direction.REPLY):
                    self._front.sendto(each, self._clients[from_socket])
            return
        if client not in self._backs:
            # A BMC tells its clients apart by their port, so each has one of its own here too.
            back = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            back.setblocking(False)
            back.connect(self._target)
            self._backs[client] = back
            self._clients[back] = client
        if self._survives(datagram, Direction.REQUEST):
            for each in self.mangle(datagram, Direction.REQUEST):
                self._send(self._backs[client], each)

    @staticmethod
    def _send(to_socket: socket.socket, datagram: bytes) -> None:
        try:
            to_socket.send(datagram)
        except ConnectionError:
            # That nobody listened to a datagram before is told now, and this one did not leave.
            with suppress(ConnectionError):
                to_socket.send(datagram)

    def _survives(self, datagram: bytes, direction: Direction) -> bool:
        lost = self._random.random() < self.loss or self.drop(datagram, direction)
        if lost:
            self.dropped += 1
        else:
            self.passed += 1
        return not lost

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
