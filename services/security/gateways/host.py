"""A gateway's operating system, as its adapters need it."""

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from services.security.gateways.gateway import Gateway


class HostError(Exception):
    """A gateway was asked in vain. The text is for a person, and holds no word of a driver."""


class HostUnreachable(HostError):  # noqa: N818 - it says what happened
    """It does not answer, does not let us in, or shows another host key."""


class NothingListens(HostError):  # noqa: N818
    """It can be reached, and nothing listens at the socket."""


@dataclass(frozen=True)
class Ran:
    """What came of a command."""

    exit_status: int
    output: bytes
    """What it wrote to standard output."""


class Conversation(Protocol):
    """A connection to a Unix socket."""

    async def read(self, most: int) -> bytes:
        """The next bytes, `most` at most; empty: the other side has ended.

        Raises HostUnreachable.
        """
        ...

    async def write(self, content: bytes) -> None:
        """Sends. Raises HostUnreachable."""
        ...


class Hosts(Protocol):
    """Every gateway's operating system. All of its calls are bounded in time."""

    def connect(
        self, gateway: Gateway, path: str
    ) -> AbstractAsyncContextManager[Conversation, None]:
        """A connection to the Unix socket at `path` on the gateway, closed at the end.

        Entering it raises HostUnreachable and NothingListens.
        """
        ...

    async def run(self, gateway: Gateway, command: str, stdin: bytes = b"") -> Ran:
        """Runs a command line. Raises HostUnreachable, also when it does not end in time.

        `command` is fixed text of ours: nothing that came from a caller is ever in it. What varies
        goes through `stdin`.
        """
        ...

    async def close(self) -> None:
        """Ends what is kept open."""
        ...
