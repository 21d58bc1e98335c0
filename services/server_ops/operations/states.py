"""The states of an operation, as one table."""

from collections.abc import Mapping
from enum import StrEnum


class State(StrEnum):
    """Where an operation stands. PENDING and RUNNING hold the server; the others are final."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


class Event(StrEnum):
    """What can happen to an operation."""

    BEGIN = "begin"
    SUCCEED = "succeed"
    FAIL = "fail"
    CANCEL = "cancel"


TRANSITIONS: Mapping[tuple[State, Event], State] = {
    (State.PENDING, Event.BEGIN): State.RUNNING,
    # A workflow that is taken up again after a crash begins again.
    (State.RUNNING, Event.BEGIN): State.RUNNING,
    (State.RUNNING, Event.SUCCEED): State.SUCCEEDED,
    (State.PENDING, Event.FAIL): State.FAILED,
    (State.RUNNING, Event.FAIL): State.FAILED,
    (State.PENDING, Event.CANCEL): State.CANCELLED,
    # Only until a command was sent: see `cancel`.
    (State.RUNNING, Event.CANCEL): State.CANCELLED,
}

HOLDING = (State.PENDING, State.RUNNING)
"""The states in which an operation holds its server."""


class StepState(StrEnum):
    """Where a step stands."""

    TODO = "TODO"
    DOING = "DOING"
    DONE = "DONE"
    ERROR = "ERROR"
