import pytest
from f2h.access.v1.reason_pb2 import Reason
from hypothesis import given
from hypothesis import strategies as st

from services.auth.check.origin import refuse_foreign_origin
from services.runtime.errors import ApiError

HOST = "api.example.net"
OURS = frozenset({"https://console.example.net"})


@pytest.mark.parametrize("origin", ["https://api.example.net", "https://console.example.net"])
def test_our_pages_pass(origin: str) -> None:
    refuse_foreign_origin(origin, HOST, OURS, secure=True)
    refuse_foreign_origin(origin, HOST, OURS, secure=False)


def test_where_browsers_use_tls_a_page_in_the_clear_is_foreign() -> None:
    refuse_foreign_origin("http://api.example.net", HOST, OURS, secure=False)
    with pytest.raises(ApiError) as refused:
        refuse_foreign_origin("http://api.example.net", HOST, OURS, secure=True)
    assert refused.value.reason == Reason.ORIGIN_NOT_ALLOWED


@given(st.text(max_size=60).filter(lambda text: HOST not in text.lower()))
def test_nothing_else_passes(origin: str) -> None:
    with pytest.raises(ApiError):
        refuse_foreign_origin(origin, HOST, frozenset(), secure=False)


def test_what_is_no_url_is_foreign() -> None:
    with pytest.raises(ApiError):
        refuse_foreign_origin("http://[", HOST, frozenset(), secure=False)
