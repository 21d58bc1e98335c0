import re
from itertools import product
from pathlib import Path

import pytest

from services.security.antispam.states import TABLE, Event, State, after


@pytest.mark.parametrize(("state", "event"), [*product(State, Event)])
def test_what_is_not_in_the_table_cannot_happen(state: State, event: Event) -> None:
    if (state, event) in TABLE:
        assert after(state, event) is TABLE[state, event]
    else:
        with pytest.raises(LookupError):
            after(state, event)


@pytest.mark.parametrize("event", Event)
def test_every_event_can_happen(event: Event) -> None:
    assert any(each == event for _, each in TABLE)


def test_nothing_but_its_own_end_happens_to_an_unblocking() -> None:
    assert {event for state, event in TABLE if state is State.UNBLOCKING} == {
        Event.LIFTED,
        Event.NOT_LIFTED,
    }


def test_what_was_not_lifted_is_blocked_as_before() -> None:
    assert after(State.UNBLOCKING, Event.NOT_LIFTED) is State.BLOCKED_FOR_SPAM


def test_every_state_leads_to_every_other() -> None:
    reached = {state: {state} for state in State}
    for _ in State:
        for (state, _event), then in TABLE.items():
            reached[state] |= reached[then]
    assert all(each == {*State} for each in reached.values())


def test_the_table_of_the_docs_is_the_table() -> None:
    text = (Path(__file__).parents[4] / "docs" / "antispam.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| `(\w+)` \| `(\w+)` \|$", text, re.MULTILINE)
    told = {(State(state), Event(event)): State(then) for state, event, then in rows}
    assert len(rows) == len(told)
    assert told == TABLE
