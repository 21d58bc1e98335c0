from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.auth.sign_in.throttle import ADDRESS, USER, Patience, Slot
from tests.unit.auth.sign_in.people import People


@pytest.mark.parametrize("patience", [USER, ADDRESS])
@given(failures=st.integers(0, 10_000))
def test_the_wait_grows_by_doubling_to_its_limit(patience: Patience, failures: int) -> None:
    wait, next_wait = patience.delay(failures), patience.delay(failures + 1)
    assert timedelta() <= wait <= next_wait <= patience.longest
    if failures < patience.free:
        assert not wait
    elif next_wait < patience.longest:
        assert next_wait == 2 * wait


def test_the_first_wait_is_a_second() -> None:
    assert USER.delay(5) == ADDRESS.delay(20) == timedelta(seconds=1)


async def test_what_must_wait_counts_nothing_and_old_failures_are_forgotten(
    people: People,
) -> None:
    slot = Slot("user:a", USER)
    for _ in range(5):
        assert not (await people.failures.take([slot], people.clock())).wait
    for _ in range(50):
        taken = await people.failures.take([slot], people.clock())
        assert taken.wait == timedelta(seconds=1)
    people.clock.pass_(hours=1)
    for _ in range(5):
        assert not (await people.failures.take([slot], people.clock())).wait
    await people.failures.clear("user:a")
    assert not (await people.failures.take([slot], people.clock())).wait


async def test_a_wait_for_the_address_counts_nothing_for_the_user(people: People) -> None:
    address = Slot("address:192.0.2.1", Patience(1, timedelta(hours=1), timedelta(hours=2)))
    assert not (await people.failures.take([address], people.clock())).wait
    user = Slot("user:a", USER)
    for _ in range(20):
        assert (await people.failures.take([user, address], people.clock())).wait
    for _ in range(5):
        assert not (await people.failures.take([user], people.clock())).wait


async def test_what_does_not_count_any_more_is_removed(people: People) -> None:
    slot = Slot("user:a", USER)
    await people.failures.take([slot], people.clock())
    people.clock.pass_(hours=25)
    await people.failures.forget_old(people.clock())
    assert not (await people.failures.take([slot], people.clock())).wait
