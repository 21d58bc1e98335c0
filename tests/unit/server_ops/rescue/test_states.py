"""The table of a rescue's states, and docs/netboot.md, which tells it."""

import re
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest

from lab.stack import ROOT
from services.server_ops.operations.operation import Kind, Operation
from services.server_ops.operations.states import State as OperationState
from services.server_ops.rescue.rescue import Rescue, WrongRescueState, after, happened
from services.server_ops.rescue.states import OF_OPERATIONS, TRANSITIONS, Event, State

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def operation(kind: Kind, state: OperationState, **changes: object) -> Operation:
    made = Operation(
        id=UUID(int=7),
        kind=kind,
        server="ns1.example.net",
        account="acme",
        caller="k",
        caller_kind="CUSTOMER",
        parameters={},
        request_id="",
        steps=(),
        state=state,
        create_time=NOW,
        update_time=NOW,
        sent={0: NOW},
    )
    return replace(made, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("state", State)
def test_every_state_has_a_way_out_and_every_state_can_be_left_for_inactive(state: State) -> None:
    seen, reached = set[State](), {state}
    while reached - seen:
        here = (reached - seen).pop()
        seen.add(here)
        reached |= {to for (at, _), to in TRANSITIONS.items() if at is here and to}
    assert State.INACTIVE in seen
    assert [event for (at, event) in TRANSITIONS if at is state]


@pytest.mark.parametrize(
    ("state", "event"), [(State.ACTIVE, Event.ENTER), (State.INACTIVE, Event.EXIT)]
)
def test_what_cannot_be_is_refused(state: State, event: Event) -> None:
    with pytest.raises(WrongRescueState):
        happened(Rescue(state), event)


@pytest.mark.parametrize("state", [State.INACTIVE, State.ENTER_FAILED, State.EXIT_FAILED])
def test_what_was_called_back_is_as_it_was(state: State) -> None:
    entering = after(Rescue(state), operation(Kind.RESCUE_ENTER, OperationState.PENDING))
    assert entering.state is State.ENTERING
    called_back = operation(Kind.RESCUE_ENTER, OperationState.CANCELLED)
    assert after(entering, called_back).state is state


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("state", OperationState)
@pytest.mark.parametrize("before", State)
def test_no_other_operation_is_ever_refused_for_a_rescue(
    kind: Kind, state: OperationState, before: State
) -> None:
    event = OF_OPERATIONS.get((kind, state))
    if event in {None, Event.RESTARTED}:
        after(Rescue(before), operation(kind, state))


def test_a_machine_that_was_left_alone_is_where_it_was() -> None:
    active = Rescue(State.ACTIVE)
    untouched = operation(Kind.POWER, OperationState.SUCCEEDED, result={"changed": "False"})
    assert after(active, untouched) == active
    not_begun = operation(Kind.INSTALL, OperationState.FAILED, sent={})
    assert after(active, not_begun) == active
    off = operation(Kind.POWER, OperationState.SUCCEEDED, result={"changed": "True"})
    assert after(active, off).state is State.INACTIVE


def test_the_documentation_tells_every_state() -> None:
    text = (ROOT / "docs" / "netboot.md").read_text().partition("## Rescue")[2]
    assert re.findall(r"^\| `([A-Z_]+)` ", text, re.MULTILINE) == [*State]
