"""The serial console of a machine."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Output:
    """What the machine wrote."""

    data: bytes
    lost: bool = False
    """Whether something that came before it was lost: a reader was slow, or the network."""


class Console(Protocol):
    """An attached serial console."""

    async def next(self) -> Output | None:
        """What the machine wrote next; None when the BMC has ended it.

        Raises BmcUnreachable; ConsoleTaken when it was taken over. For one reader.
        """
        ...

    async def write(self, data: bytes) -> None:
        """Types. Waits while the machine takes it more slowly."""
        ...

    async def send_break(self) -> None:
        """Sends a serial break."""
        ...
