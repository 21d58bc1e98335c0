"""What passes between the service and a worker process, and how it is framed."""

import asyncio
import pickle
import struct
from dataclasses import dataclass
from typing import Any

from services.server_ops.bmc.endpoint import BmcEndpoint
from services.server_ops.bmc.errors import BmcError

_LENGTH = struct.Struct(">I")


@dataclass(frozen=True)
class Call:
    """A method of a BMC, to be run within so many seconds. Answered once, after what it emits."""

    number: int
    endpoint: BmcEndpoint
    method: str
    arguments: tuple[Any, ...]
    seconds: float


@dataclass(frozen=True)
class Given:
    """Something for a call that runs: what is typed on a console."""

    number: int
    value: Any


@dataclass(frozen=True)
class Taken:
    """One that was given, or emitted, is taken: there is room for another."""

    number: int


@dataclass(frozen=True)
class Ended:
    """Nobody waits for a call any more."""

    number: int


@dataclass(frozen=True)
class Emitted:
    """A part of a call's answer."""

    number: int
    value: Any


@dataclass(frozen=True)
class Returned:
    """A call's answer."""

    number: int
    value: Any


@dataclass(frozen=True)
class Raised:
    """A call's answer is this error."""

    number: int
    error: BmcError


@dataclass(frozen=True)
class Failed:
    """A call raised what it should not. The text stays there: a driver's text may hold anything."""

    number: int
    kind: str


Request = Call | Given | Taken | Ended
Answer = Emitted | Taken | Returned | Raised | Failed

WINDOW = 64
"""So many that were given, or emitted, may be under way at once, each way."""


def send(writer: asyncio.StreamWriter, message: Request | Answer) -> None:
    """Sends a message; it is on its way, or waits in memory, when this returns."""
    content = pickle.dumps(message)
    writer.write(_LENGTH.pack(len(content)) + content)


async def receive(reader: asyncio.StreamReader) -> Any:
    """The next message. Raises EOFError when the other side is gone."""
    try:
        (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
        # Both sides are ours: no message comes from anywhere else.
        return pickle.loads(await reader.readexactly(length))  # noqa: S301
    except (asyncio.IncompleteReadError, ConnectionError):
        raise EOFError from None
