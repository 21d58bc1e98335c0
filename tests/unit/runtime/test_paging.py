import pytest
from f2h.access.v1.reason_pb2 import Reason
from hypothesis import given
from hypothesis import strategies as st

from services.runtime.errors import ApiError
from services.runtime.paging import DEFAULT_PAGE_SIZE, decode_token, encode_token, page_size


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
def test_a_token_says_where_the_page_ended(last: str) -> None:
    token = encode_token(last)
    assert decode_token(token) == last
    assert token.isascii()


def test_no_token_is_the_first_page() -> None:
    assert decode_token("") == ""


@given(st.text())
def test_any_text_is_a_token_or_refused_as_the_callers_fault(text: str) -> None:
    try:
        decode_token(text)
    except ApiError as error:
        assert error.reason == Reason.INVALID_REQUEST
        assert [violation.field for violation in error.violations] == ["page_token"]


@pytest.mark.parametrize("token", ["é", "x", "a b=", "/w==", "YQ=", "\n", "YQBi"])
def test_what_is_no_token_is_refused(token: str) -> None:
    with pytest.raises(ApiError) as refused:
        decode_token(token)
    assert refused.value.reason == Reason.INVALID_REQUEST


def test_a_page_has_the_size_that_was_asked_for() -> None:
    assert [page_size(asked) for asked in (0, 1, 1000)] == [DEFAULT_PAGE_SIZE, 1, 1000]
