"""A port-25 block, the operation that unblocks an address, and where both are kept."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from services.security.antispam.states import State


@dataclass(frozen=True)
class Block:
    """A block, or one that was lifted."""

    ip: str
    """In canonical form."""
    state: State
    reason: str
    blocked_by: str
    """A NOC key or user by its id, or "security": the operator's rule."""
    block_time: datetime
    unblock_time: datetime
    """From when on its customer may ask for unblocking."""
    times: int
    """How often it was blocked, this time included."""
    lift_time: datetime | None = None
    operation: UUID | None = None
    """The unblocking under way."""


@dataclass(frozen=True)
class Unblocking:
    """An operation that unblocks an address."""

    id: UUID
    ip: str
    hostname: str
    account: str
    state: str
    """RUNNING, SUCCEEDED or FAILED."""
    create_time: datetime
    update_time: datetime
    request_id: str = ""
    """What its caller calls the request; empty: nothing."""
    caller: str = ""
    """Id of the API key or the user that asked for it; empty: it was not kept then."""
    caller_kind: str = "AUDIENCE_UNSPECIFIED"
    """What that is, a name of AccessRule.Audience; as here: it was not kept then."""
    end_time: datetime | None = None
    failure: Mapping[str, str] | None = None
    """{"reason", "message", "gateway"}, when it failed."""

    @property
    def name(self) -> str:
        """The name that callers ask for it by."""
        return operation_name(self.id)

    @property
    def done(self) -> bool:
        """Whether it has ended."""
        return self.end_time is not None


def operation_name(unblocking: UUID) -> str:
    """The name that callers ask for an unblocking by."""
    return f"antispam/operations/{unblocking}"


Wait = Callable[[int], timedelta]
"""How long after a block its customer may ask for unblocking, by how often it was blocked before
that.
"""


class NotBlocked(Exception):  # noqa: N818 - it says what happened
    """The address is not blocked."""


class UnderWay(Exception):  # noqa: N818
    """An operation unblocks the address."""

    def __init__(self, operation: str) -> None:
        super().__init__(operation)
        self.operation = operation


class TooEarly(Exception):  # noqa: N818
    """The wait of the block runs."""

    def __init__(self, block: Block) -> None:
        super().__init__(block)
        self.block = block


class RequestKnown(Exception):  # noqa: N818
    """There is an unblocking with this request id of the same caller."""


class Blocks(Protocol):
    """Where blocks are kept."""

    async def of(self, ips: Iterable[str]) -> Mapping[str, Block]:
        """The blocks of addresses that were ever blocked, by address."""
        ...

    async def page(self, after: str, limit: int, *, lifted: bool) -> list[Block]:
        """Blocks in the order of their addresses' texts, those behind `after`, at most `limit`."""
        ...

    async def in_force(self) -> Mapping[str, State]:
        """Every address that is blocked, or being unblocked, by address."""
        ...

    async def block(self, ip: str, reason: str, by: str, now: datetime, wait: Wait) -> Block:
        """Blocks an address; blocked already: only the reason changes. Raises UnderWay."""
        ...

    async def override(self, ip: str, now: datetime, *, forget: bool) -> Block:
        """Lifts a block; with `forget`, how often it was blocked is forgotten, also of one that was
        lifted. Raises UnderWay, and NotBlocked when there is nothing to do.
        """
        ...

    async def begin(self, unblocking: Unblocking) -> None:
        """Accepts an unblocking.

        Raises NotBlocked, UnderWay when one is under way, TooEarly, and RequestKnown when the
        caller has another one with this request id.
        """
        ...

    async def end(
        self, unblocking: UUID, now: datetime, failure: Mapping[str, str] | None
    ) -> Unblocking | None:
        """Ends an unblocking, and with it the state of the block; None: it has ended before."""
        ...

    async def requested(self, account: str, caller: str, request_id: str) -> Unblocking | None:
        """The unblocking that a caller of the account asked for with this request id."""
        ...

    async def find(self, unblocking: UUID) -> Unblocking | None:
        """The unblocking with this id."""
        ...

    async def under_way(self) -> list[Unblocking]:
        """All unblockings that have not ended, the eldest first."""
        ...

    async def tidy(self, before: datetime) -> None:
        """Forgets unblockings that ended before."""
        ...
