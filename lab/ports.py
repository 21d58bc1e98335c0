"""Free ports of loopback."""

import fcntl
import functools
import itertools
import os
import socket
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

HOST = "127.0.0.1"

_BLOCK = 1_000
_BLOCKS = range(10_000, 32_000, _BLOCK)
"""Below what the system gives to outgoing connections, which else take a port before its server
does."""


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """A port that nobody listens on, and that no other process is given by this function.

    A server binds its port seconds after it was chosen. Each process therefore has a block of
    ports of its own while it lives, and goes round in it.
    """
    return next(port for port in _turn(os.getpid()) if is_free(port, kind))


def is_free(port: int, kind: socket.SocketKind = socket.SOCK_STREAM) -> bool:
    """Whether nobody listens on a port at this moment."""
    with socket.socket(socket.AF_INET, kind) as probe:
        if kind == socket.SOCK_STREAM:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def wait_for_listener(port: int, seconds: float) -> None:
    """Returns when somebody listens on a TCP port. Raises TimeoutError."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if not probe.connect_ex((HOST, port)):
                return
        time.sleep(0.05)
    raise TimeoutError(f"nobody listens on port {port}")


@functools.cache
def _turn(_pid: int) -> Iterator[int]:
    """The ports of this process's block, round and round. Raises RuntimeError without a block."""
    folder = Path(tempfile.gettempdir()) / f"f2hcloud-ports-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    for first in _BLOCKS:
        # Never closed: the lock is held as long as the process lives.
        descriptor = os.open(folder / str(first), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            continue
        return itertools.cycle(range(first, first + _BLOCK))
    raise RuntimeError(f"all {len(_BLOCKS)} blocks of ports are taken: see {folder}")
