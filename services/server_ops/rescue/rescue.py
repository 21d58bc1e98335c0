"""Where a server stands with its rescue system, and what an operation makes of that."""

from dataclasses import dataclass, replace
from typing import Protocol
from uuid import UUID

from services.server_ops.operations.operation import Kind, Operation
from services.server_ops.operations.states import State as OperationState
from services.server_ops.rescue.states import OF_OPERATIONS, TRANSITIONS, Event, State


@dataclass(frozen=True)
class Rescue:
    """Where a server stands with its rescue system."""

    state: State = State.INACTIVE
    before: State = State.INACTIVE
    """Where it stood before the operation."""
    operation: UUID | None = None
    """The operation that led here; None: there was none."""
    entered_by: UUID | None = None
    """The operation that booted the rescue system last."""


class WrongRescueState(Exception):  # noqa: N818 - it says what happened
    """What was asked for cannot happen in this state."""

    def __init__(self, state: State, event: Event) -> None:
        super().__init__(state, event)
        self.state = state
        self.event = event


class Rescues(Protocol):
    """Where rescues are kept. They follow the operations by themselves."""

    async def find(self, hostname: str) -> Rescue:
        """Where the server stands."""
        ...

    async def restarted(self, hostname: str) -> None:
        """Keeps that the machine was sent on to its disk."""
        ...


def happened(rescue: Rescue, event: Event) -> Rescue:
    """The rescue after an event. Raises WrongRescueState when it cannot happen."""
    key = (rescue.state, event)
    if key not in TRANSITIONS:
        raise WrongRescueState(rescue.state, event)
    return replace(rescue, state=TRANSITIONS[key] or rescue.before)


def after(rescue: Rescue, operation: Operation) -> Rescue:
    """The rescue of a server whose operation has come into its present state.

    Raises WrongRescueState when a rescue is asked for that cannot be.
    """
    event = OF_OPERATIONS.get((operation.kind, operation.state))
    if event is None or (event is Event.RESTARTED and not _touched(operation)):
        return rescue
    if event is Event.RESTARTED and (rescue.state, event) not in TRANSITIONS:
        return rescue
    changed = happened(rescue, event)
    if operation.state != OperationState.PENDING:
        return changed
    entered_by = operation.id if operation.kind is Kind.RESCUE_ENTER else rescue.entered_by
    return replace(changed, before=rescue.state, operation=operation.id, entered_by=entered_by)


def _touched(operation: Operation) -> bool:
    """Whether what ran on the machine before runs no more."""
    if operation.kind is Kind.POWER:
        return operation.result.get("changed") == str(True)
    return operation.sent_time is not None
