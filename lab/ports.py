"""Free ports of loopback."""

import random
import socket
import time

HOST = "127.0.0.1"

_RANGE = range(10_000, 32_000)
"""Below what the system gives to outgoing connections, which else take a port before its server
does."""


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """A port that nobody listens on at this moment. Chosen at random, so that two who ask at the
    same time hardly get the same.
    """
    while True:
        port = random.choice(_RANGE)
        if is_free(port, kind):
            return port


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
