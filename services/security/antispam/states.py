"""The states of a port-25 block, as one table."""

from collections.abc import Mapping
from enum import StrEnum


class State(StrEnum):
    """Where our own block of an address stands."""

    BLOCKED_FOR_SPAM = "BLOCKED_FOR_SPAM"
    UNBLOCKING = "UNBLOCKING"
    UNBLOCKED = "UNBLOCKED"


class Event(StrEnum):
    """What happens to it."""

    BLOCK = "BLOCK"
    """The NOC, or the operator's rule, blocks the address."""
    UNBLOCK = "UNBLOCK"
    """Its customer's request to unblock it was accepted."""
    LIFTED = "LIFTED"
    """The mail gates were seen to have lifted the block."""
    NOT_LIFTED = "NOT_LIFTED"
    """They did not in time."""
    OVERRIDE = "OVERRIDE"
    """The NOC lifts the block."""


TABLE: Mapping[tuple[State, Event], State] = {
    (State.UNBLOCKED, Event.BLOCK): State.BLOCKED_FOR_SPAM,
    (State.BLOCKED_FOR_SPAM, Event.BLOCK): State.BLOCKED_FOR_SPAM,
    (State.BLOCKED_FOR_SPAM, Event.UNBLOCK): State.UNBLOCKING,
    (State.UNBLOCKING, Event.LIFTED): State.UNBLOCKED,
    (State.UNBLOCKING, Event.NOT_LIFTED): State.BLOCKED_FOR_SPAM,
    (State.BLOCKED_FOR_SPAM, Event.OVERRIDE): State.UNBLOCKED,
}


def after(state: State, event: Event) -> State:
    """The state after an event. Raises LookupError when it cannot happen in this state."""
    return TABLE[state, event]
