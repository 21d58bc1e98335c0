"""An operation, and what can happen to it. Everything here is a value: a change makes a new one."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from services.server_ops.operations.states import TRANSITIONS, Event, State, StepState


class Kind(StrEnum):
    """What an operation does."""

    REBOOT = "REBOOT"
    POWER = "POWER"
    RESCUE_ENTER = "RESCUE_ENTER"
    RESCUE_EXIT = "RESCUE_EXIT"
    INSTALL = "INSTALL"
    IP_MOVE = "IP_MOVE"


class Fault(StrEnum):
    """Who has to act after a failure."""

    NONE = ""
    CUSTOMER = "CUSTOMER"
    PROVIDER = "PROVIDER"


@dataclass(frozen=True)
class Step:
    """One step of an operation."""

    name: str
    state: StepState = StepState.TODO
    start_time: datetime | None = None
    end_time: datetime | None = None


@dataclass(frozen=True)
class Failure:
    """Why an operation failed."""

    reason: str
    """Name of a value of f2h.access.v1.Reason."""
    message: str
    fault: Fault
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Operation:
    """Work on a server that goes on after the call that asked for it was answered."""

    id: UUID
    kind: Kind
    server: str
    """Hostname of the server that it holds until it ends."""
    account: str
    caller: str
    """Id of the API key or the user that asked for it."""
    caller_kind: str
    """What that is, a name of AccessRule.Audience; AUDIENCE_UNSPECIFIED: it was not kept then."""
    parameters: Mapping[str, str]
    request_id: str
    """The caller's own id of the request, one of that caller alone; empty when none was given."""
    steps: tuple[Step, ...]
    state: State
    create_time: datetime
    update_time: datetime
    end_time: datetime | None = None
    failure: Failure | None = None
    result: Mapping[str, str] = field(default_factory=dict)
    sent: Mapping[int, datetime] = field(default_factory=dict)
    """Step by step, when its command was about to be sent: it is never sent twice."""

    @property
    def name(self) -> str:
        """Its resource name."""
        return f"operations/{self.id}"

    @property
    def sent_time(self) -> datetime | None:
        """When the last command was about to be sent; None: the machine was not touched."""
        return max(self.sent.values(), default=None)

    def seconds_left(self, seconds: float, now: datetime) -> float:
        """How much is left, by the clock, of so many seconds after its last command.

        The clock may have been set since; and what takes over after a crash may come late, and
        still must get its chance to look.
        """
        spent = (now - (self.sent_time or now)).total_seconds()
        return seconds - max(0.0, spent)

    @property
    def done(self) -> bool:
        """Whether it ended."""
        return self.end_time is not None

    def request_digest(self) -> str:
        """What the request asked for, in one word: a request id is good for one such word only."""
        asked = [self.kind, self.server, dict(self.parameters)]
        return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()


class WrongState(Exception):  # noqa: N818
    """An event that cannot happen in the operation's state."""


class AlreadySent(Exception):  # noqa: N818
    """The command was sent, or was about to be."""


def begin_step(operation: Operation, index: int, now: datetime) -> Operation:
    """The operation at its step `index`. A step that is begun again keeps its start time."""
    begun = _apply(operation, Event.BEGIN, now)
    step = operation.steps[index]
    return _with_step(
        begun, index, replace(step, state=StepState.DOING, start_time=step.start_time or now)
    )


def end_step(operation: Operation, index: int, now: datetime) -> Operation:
    """The operation with its step `index` done. Raises WrongState when the operation has ended."""
    if operation.done:
        raise WrongState(operation.id, operation.state)
    step = replace(operation.steps[index], state=StepState.DONE, end_time=now)
    return replace(_with_step(operation, index, step), update_time=now)


def succeed(operation: Operation, result: Mapping[str, str], now: datetime) -> Operation:
    """The operation, done and seen to be done. A step that had nothing to do is done too."""
    steps = tuple(replace(step, state=StepState.DONE) for step in operation.steps)
    succeeded = _apply(operation, Event.SUCCEED, now)
    return replace(succeeded, end_time=now, result=result, steps=steps)


def fail(operation: Operation, failure: Failure, now: datetime) -> Operation:
    """The operation, failed at the step that was under way."""
    steps = tuple(
        replace(step, state=StepState.ERROR, end_time=now)
        if step.state == StepState.DOING
        else step
        for step in operation.steps
    )
    failed = _apply(operation, Event.FAIL, now)
    return replace(failed, end_time=now, failure=failure, steps=steps)


def cancel(operation: Operation, now: datetime) -> Operation:
    """The operation, ended on request, before anything was changed.

    Raises AlreadySent when it is past that, and WrongState when it has ended.
    """
    cancelled = _apply(operation, Event.CANCEL, now)
    if operation.sent:
        raise AlreadySent(operation.id)
    steps = tuple(
        replace(step, state=StepState.TODO) if step.state == StepState.DOING else step
        for step in operation.steps
    )
    return replace(cancelled, end_time=now, steps=steps)


def mark_sent(operation: Operation, index: int, now: datetime) -> Operation:
    """The operation with the command of its step `index` about to be sent.

    Raises AlreadySent when it was before, and WrongState when the operation has ended.
    """
    if operation.state != State.RUNNING:
        raise WrongState(operation.id, operation.state)
    if index in operation.sent:
        raise AlreadySent(operation.id, index)
    return replace(operation, sent={**operation.sent, index: now}, update_time=now)


def _apply(operation: Operation, event: Event, now: datetime) -> Operation:
    state = TRANSITIONS.get((operation.state, event))
    if state is None:
        raise WrongState(operation.id, operation.state, event)
    return replace(operation, state=state, update_time=now)


def _with_step(operation: Operation, index: int, step: Step) -> Operation:
    steps = (*operation.steps[:index], step, *operation.steps[index + 1 :])
    return replace(operation, steps=steps)
