"""The inside of a worker process: runs the calls that come through its pipe."""

import math
import signal
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from services.server_ops.adapters.bmc import ipmi
from services.server_ops.bmc.errors import BmcError

GRACE_SECONDS = 2
"""By so much a call outlives its deadline when nobody is left to end its process."""


@dataclass(frozen=True)
class Call:
    """A function of the module `ipmi`, its arguments, and the seconds that it is given."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    seconds: float


@dataclass(frozen=True)
class Returned:
    value: Any


@dataclass(frozen=True)
class Raised:
    error: BmcError


@dataclass(frozen=True)
class Failed:
    """It raised what it should not. The text stays here: a driver's text may hold anything."""

    kind: str


def serve(pipe: Connection) -> None:
    """Answers calls until the other end closes the pipe or is gone, then logs out."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the service, which closes the pipe
    try:
        while True:
            call: Call = pipe.recv()
            # Our service ends a late worker; when the service itself was killed, the clock does.
            signal.alarm(math.ceil(call.seconds) + GRACE_SECONDS)
            pipe.send(_run(call))
            signal.alarm(0)
    except (EOFError, ConnectionError):
        signal.alarm(GRACE_SECONDS)
        ipmi.logout()


def _run(call: Call) -> Returned | Raised | Failed:
    try:
        return Returned(call.function(*call.arguments))
    except BmcError as error:
        return Raised(error)
    except Exception as error:  # noqa: BLE001 - the worker lives on; the caller decides what it means
        return Failed(type(error).__name__)
