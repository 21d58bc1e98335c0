from datetime import timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services.security.antispam.waiting import doubling

HOUR = timedelta(hours=1)
WEEK = timedelta(days=7)

DURATIONS = st.one_of(
    st.integers(0, 100).map(lambda each: timedelta(microseconds=each)),
    st.timedeltas(timedelta(0), timedelta(days=365)),
)
"""What the settings allow, and what is so short that it is rounded."""
COUNTS = st.one_of(st.integers(0, 100), st.integers(0, 10**30))


def test_each_block_before_doubles_the_wait_up_to_the_longest() -> None:
    wait = doubling(HOUR, WEEK)
    hours = [wait(before) / HOUR for before in range(10)]
    assert hours == [1, 2, 4, 8, 16, 32, 64, 128, 168, 168]


@given(first=DURATIONS, longest=DURATIONS, before=COUNTS)
@example(first=timedelta(microseconds=2), longest=timedelta(microseconds=3), before=1)
def test_the_wait_is_never_longer_than_the_longest(
    first: timedelta, longest: timedelta, before: int
) -> None:
    assert timedelta(0) <= doubling(first, longest)(before) <= longest


@given(first=DURATIONS, longest=DURATIONS, before=COUNTS, more=COUNTS)
def test_who_was_blocked_more_often_never_waits_less(
    first: timedelta, longest: timedelta, before: int, more: int
) -> None:
    wait = doubling(first, longest)
    assert wait(before) <= wait(before + more)


@given(first=DURATIONS, longest=DURATIONS)
def test_the_first_block_has_the_first_wait(first: timedelta, longest: timedelta) -> None:
    assert doubling(first, longest)(0) == min(first, longest)


@pytest.mark.parametrize("before", [0, 1, 39, 40, 41, 1000, 10**30])
def test_without_a_first_wait_there_is_none(before: int) -> None:
    assert doubling(timedelta(0), WEEK)(before) == timedelta(0)
