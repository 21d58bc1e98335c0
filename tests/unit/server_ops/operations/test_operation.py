from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.server_ops.operations.operation import (
    AlreadySent,
    Failure,
    Fault,
    Kind,
    Operation,
    Step,
    WrongState,
    begin_step,
    cancel,
    end_step,
    fail,
    mark_sent,
    succeed,
)
from services.server_ops.operations.states import HOLDING, State, StepState

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
FAILURE = Failure("BMC_UNREACHABLE", "The server's BMC did not answer.", Fault.PROVIDER)

CHANGES: dict[str, Callable[[Operation, datetime], Operation]] = {
    "begin 0": lambda o, now: begin_step(o, 0, now),
    "end 0": lambda o, now: end_step(o, 0, now),
    "begin 1": lambda o, now: begin_step(o, 1, now),
    "end 1": lambda o, now: end_step(o, 1, now),
    "sent": lambda o, now: mark_sent(o, 1, now),
    "cancel": cancel,
    "succeed": lambda o, now: succeed(o, {"proof": "EVENT_LOG"}, now),
    "fail": lambda o, now: fail(o, FAILURE, now),
}


def operation(**changes: Any) -> Operation:
    return replace(
        Operation(
            id=UUID(int=1),
            kind=Kind.REBOOT,
            server="ns1.example.net",
            account="demo",
            caller="0" * 16,
            caller_kind="CUSTOMER",
            parameters={"mode": "HARD"},
            request_id="",
            steps=(Step("look"), Step("send")),
            state=State.PENDING,
            create_time=NOW,
            update_time=NOW,
        ),
        **changes,
    )


@given(st.lists(st.sampled_from(sorted(CHANGES))))
def test_whatever_happens_it_ends_at_most_once_and_holds_its_server_until_then(
    names: list[str],
) -> None:
    current, now = operation(), NOW
    for name in names:
        now += timedelta(seconds=1)
        try:
            changed = CHANGES[name](current, now)
        except (WrongState, AlreadySent):
            continue
        assert changed.update_time == now
        assert changed.done == (changed.state not in HOLDING)
        if current.done:
            assert (changed.state, changed.end_time) == (current.state, current.end_time)
        if current.sent:
            assert changed.sent == current.sent
            assert changed.state != State.CANCELLED
        current = changed


def test_a_failure_marks_the_step_under_way_and_leaves_those_after_it() -> None:
    failed = fail(begin_step(operation(), 0, NOW), FAILURE, NOW)
    assert [step.state for step in failed.steps] == [StepState.ERROR, StepState.TODO]
    assert failed.state == State.FAILED


def test_a_step_that_is_begun_again_after_a_crash_keeps_its_start_time() -> None:
    begun = begin_step(operation(), 0, NOW)
    again = begin_step(begun, 0, NOW + timedelta(seconds=9))
    assert again.steps[0].start_time == NOW


def test_a_steps_command_can_be_marked_as_sent_once_only() -> None:
    sent = mark_sent(begin_step(operation(), 1, NOW), 1, NOW)
    with pytest.raises(AlreadySent):
        mark_sent(sent, 1, NOW)
    later = NOW + timedelta(seconds=9)
    assert mark_sent(sent, 0, later).sent_time == later


def test_no_command_is_marked_before_the_operation_runs_or_after_it_ended() -> None:
    for other in (operation(), cancel(operation(), NOW)):
        with pytest.raises(WrongState):
            mark_sent(other, 1, NOW)


def test_what_was_sent_cannot_be_cancelled() -> None:
    sent = mark_sent(begin_step(operation(), 1, NOW), 1, NOW)
    with pytest.raises(AlreadySent):
        cancel(sent, NOW)


def test_the_request_digest_tells_other_parameters_and_another_server_apart() -> None:
    digests = {
        operation().request_digest(),
        operation(parameters={"mode": "POWER_CYCLE"}).request_digest(),
        operation(server="ns2.example.net").request_digest(),
    }
    assert len(digests) == 3
    assert operation(id=UUID(int=2), caller="1" * 16).request_digest() in digests
