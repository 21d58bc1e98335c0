from datetime import timedelta
from http.cookies import SimpleCookie

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.auth.sessions.cookie import clear_cookie, cookie_name, session_text, set_cookie


@pytest.mark.parametrize("secure", [True, False])
def test_a_browser_that_reads_the_cookie_sends_the_token(*, secure: bool) -> None:
    [kept] = SimpleCookie(set_cookie("f2hs.token", timedelta(hours=12), secure=secure)).values()
    assert kept["httponly"]
    assert bool(kept["secure"]) == secure
    assert (kept["samesite"], kept["path"], kept["max-age"]) == ("Strict", "/", "43200")
    assert kept["domain"] == ""
    assert session_text(f"{kept.key}={kept.value}", secure=secure) == "f2hs.token"


def test_with_tls_the_name_says_that_no_neighbour_set_it() -> None:
    assert cookie_name(secure=True) == "__Host-f2h_session"
    assert session_text("f2h_session=mine", secure=True) == ""
    assert session_text("__Host-f2h_session=mine", secure=False) == ""


def test_a_cookie_that_is_cleared_is_gone_at_once() -> None:
    assert "Max-Age=0" in clear_cookie(secure=True)


@pytest.mark.parametrize(
    ("header", "text"),
    [
        ("", ""),
        ("theme=dark; f2h_session=a; lang=en", "a"),
        ("f2h_session=a=b", "a=b"),
        ("f2h_session=a; f2h_session=b", ""),
        ("f2h_session=a; f2h_session=a", ""),
        ("xf2h_session=a", ""),
        ("F2H_SESSION=a", ""),
        (";;;=;f2h_session", ""),
    ],
)
def test_one_cookie_counts_and_two_do_not(header: str, text: str) -> None:
    assert session_text(header, secure=False) == text


@given(st.text(max_size=300))
def test_nonsense_is_no_session_and_no_failure(header: str) -> None:
    assert isinstance(session_text(header, secure=False), str)
