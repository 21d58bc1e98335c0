"""The states of a server's rescue, as one table."""

from collections.abc import Mapping
from enum import StrEnum

from services.server_ops.operations.operation import Kind
from services.server_ops.operations.states import State as OperationState


class State(StrEnum):
    """Where a server stands with its rescue system.

    ENTERING and EXITING last as long as their operation, each of whose steps has an end in time.
    """

    INACTIVE = "INACTIVE"
    ENTERING = "ENTERING"
    ACTIVE = "ACTIVE"
    EXITING = "EXITING"
    ENTER_FAILED = "ENTER_FAILED"
    EXIT_FAILED = "EXIT_FAILED"


class Event(StrEnum):
    """What can happen to it."""

    ENTER = "enter"
    ENTERED = "entered"
    ENTER_FAIL = "enter failed"
    EXIT = "exit"
    EXITED = "exited"
    EXIT_FAIL = "exit failed"
    CANCEL = "cancel"
    RESTARTED = "restarted"
    """By another operation, or by itself: a rescue system is booted once."""


BEFORE = None
"""As a new state: where it stood before the operation, which had not touched the machine."""

TRANSITIONS: Mapping[tuple[State, Event], State | None] = {
    (State.INACTIVE, Event.ENTER): State.ENTERING,
    (State.ENTER_FAILED, Event.ENTER): State.ENTERING,
    (State.EXIT_FAILED, Event.ENTER): State.ENTERING,
    (State.ENTERING, Event.ENTERED): State.ACTIVE,
    (State.ENTERING, Event.ENTER_FAIL): State.ENTER_FAILED,
    (State.ENTERING, Event.CANCEL): BEFORE,
    (State.ACTIVE, Event.EXIT): State.EXITING,
    (State.ENTER_FAILED, Event.EXIT): State.EXITING,
    (State.EXIT_FAILED, Event.EXIT): State.EXITING,
    (State.EXITING, Event.EXITED): State.INACTIVE,
    (State.EXITING, Event.EXIT_FAIL): State.EXIT_FAILED,
    (State.EXITING, Event.CANCEL): BEFORE,
    (State.ACTIVE, Event.RESTARTED): State.INACTIVE,
    (State.ENTER_FAILED, Event.RESTARTED): State.INACTIVE,
    (State.EXIT_FAILED, Event.RESTARTED): State.INACTIVE,
}
"""What is not in here cannot happen: to enter from ACTIVE, to exit from INACTIVE."""

OF_OPERATIONS: Mapping[tuple[Kind, OperationState], Event] = {
    (Kind.RESCUE_ENTER, OperationState.PENDING): Event.ENTER,
    (Kind.RESCUE_ENTER, OperationState.SUCCEEDED): Event.ENTERED,
    (Kind.RESCUE_ENTER, OperationState.FAILED): Event.ENTER_FAIL,
    (Kind.RESCUE_ENTER, OperationState.CANCELLED): Event.CANCEL,
    (Kind.RESCUE_EXIT, OperationState.PENDING): Event.EXIT,
    (Kind.RESCUE_EXIT, OperationState.SUCCEEDED): Event.EXITED,
    (Kind.RESCUE_EXIT, OperationState.FAILED): Event.EXIT_FAIL,
    (Kind.RESCUE_EXIT, OperationState.CANCELLED): Event.CANCEL,
    (Kind.REBOOT, OperationState.SUCCEEDED): Event.RESTARTED,
    (Kind.POWER, OperationState.SUCCEEDED): Event.RESTARTED,
    (Kind.INSTALL, OperationState.SUCCEEDED): Event.RESTARTED,
    (Kind.INSTALL, OperationState.FAILED): Event.RESTARTED,
}
"""What the state of an operation means for the rescue of its server."""
