from dataclasses import replace
from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from services.auth.keys.expiry import Expiry
from tests.unit.auth.keys.test_update import KEY, NOW

SPANS = st.none() | st.integers(1, 1000).map(lambda days: timedelta(days=days))


def test_who_does_not_say_gets_what_the_operator_has_set() -> None:
    year = timedelta(days=365)
    assert Expiry().of(None, NOW, never=False) == (None, [])
    assert Expiry(default=year).of(None, NOW, never=False) == (NOW + year, [])
    assert Expiry(longest=year).of(None, NOW, never=False) == (NOW + year, [])


def test_a_key_that_never_expires_must_be_asked_for_and_allowed() -> None:
    year = timedelta(days=365)
    assert Expiry(default=year).of(None, NOW, never=True) == (None, [])
    _, wrong = Expiry(longest=year).of(None, NOW, never=True)
    assert [each.field for each in wrong] == ["no_expiry"]
    _, wrong = Expiry().of(NOW + year, NOW, never=True)
    assert [each.field for each in wrong] == ["no_expiry"]


@given(default=SPANS, longest=SPANS, asked=SPANS)
def test_no_key_outlives_what_the_operator_allows(
    default: timedelta | None, longest: timedelta | None, asked: timedelta | None
) -> None:
    expiry = Expiry(default, longest)
    end, wrong = expiry.of(NOW + asked if asked else None, NOW, never=False)
    if wrong:
        assert asked
        assert longest
        assert asked > longest
    elif asked:
        assert end == NOW + asked
    if longest and not wrong:
        assert end is not None
        assert end <= NOW + longest


@given(longest=SPANS, lived=SPANS, later=st.timedeltas(timedelta(), timedelta(days=100)))
def test_a_successor_lives_as_long_as_its_elder_was_to(
    longest: timedelta | None, lived: timedelta | None, later: timedelta
) -> None:
    elder = replace(KEY, expire_time=NOW + lived if lived else None)
    end: datetime | None = Expiry(longest=longest).again(elder, NOW + later)
    spans = [span for span in (lived, longest) if span]
    assert end == (NOW + later + min(spans) if spans else None)
