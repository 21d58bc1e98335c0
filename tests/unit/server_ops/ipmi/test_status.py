"""What is known of a BMC, after whatever it did or did not say."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from services.server_ops.bmc.errors import BmcAuthFailed, BmcUnreachable, BmcUnsupported, Trouble
from services.server_ops.bmc.observation import PowerState
from services.server_ops.ipmi.status import (
    BmcStatus,
    Change,
    Reachability,
    StatusEvent,
    contacted,
    events,
    expected,
    not_contacted,
)
from tests.unit.server_ops.bmc.fake_bmc import IDENTITY

NOW = datetime(2026, 1, 2, tzinfo=UTC)
NEW = BmcStatus("ns1.example.net")
ON, OFF, UNKNOWN = PowerState.ON, PowerState.OFF, PowerState.UNKNOWN
FAILING_AFTER = 3

powers = st.sampled_from(list(PowerState))


def at(seconds: int) -> datetime:
    return NOW + timedelta(seconds=seconds)


def test_what_was_seen_stays_when_the_bmc_falls_silent() -> None:
    seen = contacted(NEW, ON, IDENTITY, at(0))
    silent = not_contacted(seen, BmcUnreachable(Trouble.NO_FREE_SESSION), at(60))
    assert (silent.reachability, silent.trouble) == (
        Reachability.UNREACHABLE,
        Trouble.NO_FREE_SESSION,
    )
    assert (silent.power, silent.identity, silent.contact_time) == (ON, IDENTITY, at(0))
    assert (silent.check_time, silent.failures) == (at(60), 1)
    again = contacted(silent, OFF, None, at(120))
    assert (again.failures, again.trouble, again.identity) == (0, None, IDENTITY)


def test_a_bmc_that_was_not_even_asked_stays_as_it_was() -> None:
    seen = contacted(NEW, ON, None, at(0))
    for trouble in (Trouble.BACKING_OFF, Trouble.TOO_MANY_CALLS, Trouble.OWNED_ELSEWHERE):
        assert not_contacted(seen, BmcUnreachable(trouble), at(60)) == seen


def test_a_refused_login_is_no_silence() -> None:
    refused = not_contacted(NEW, BmcAuthFailed(), at(0))
    assert (refused.reachability, refused.failures) == (Reachability.AUTH_FAILED, 0)
    assert not_contacted(NEW, BmcUnsupported(), at(0)).reachability == Reachability.UNREACHABLE


def test_drift_begins_when_it_is_first_seen_and_ends_with_what_was_expected() -> None:
    left = expected(contacted(NEW, OFF, None, at(0)), ON, at(1))
    assert (left.power, left.drift_time) == (ON, None)
    drifted = contacted(contacted(left, OFF, None, at(10)), OFF, None, at(20))
    assert (drifted.power, drifted.expected_power, drifted.drift_time) == (OFF, ON, at(10))
    assert contacted(drifted, ON, None, at(30)).drift_time is None
    assert expected(drifted, OFF, at(30)).drift_time is None


@given(st.lists(powers))
def test_without_an_expectation_nothing_drifts(seen: list[PowerState]) -> None:
    status = NEW
    for seconds, power in enumerate(seen):
        status = contacted(status, power, None, at(seconds))
        assert status.drift_time is None


@given(
    st.lists(
        st.one_of(
            powers.map(lambda power: lambda s: contacted(s, power, None, NOW)),
            st.just(lambda s: not_contacted(s, BmcUnreachable(), NOW)),
        )
    )
)
def test_reachable_and_unreachable_are_told_in_turn(changes: list[Change]) -> None:
    status, told = NEW, list[StatusEvent]()
    for change in changes:
        after = change(status)
        told += [
            event
            for event in events(status, after, FAILING_AFTER)
            if event is not StatusEvent.POWER_CHANGED
        ]
        status = after
    assert all(a != b for a, b in pairwise(told))
    assert not told or told[0] is StatusEvent.UNREACHABLE
    assert (bool(told) and told[-1] is StatusEvent.UNREACHABLE) == (
        status.failures >= FAILING_AFTER
    )


def test_a_change_of_power_is_told_and_what_is_unknown_is_not() -> None:
    on = contacted(NEW, ON, None, at(0))
    assert events(NEW, on, FAILING_AFTER) == ()
    off = contacted(on, OFF, None, at(1))
    assert events(on, off, FAILING_AFTER) == (StatusEvent.POWER_CHANGED,)
    unknown = contacted(on, UNKNOWN, None, at(1))
    assert events(on, unknown, FAILING_AFTER) == ()
