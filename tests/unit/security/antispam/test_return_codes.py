"""What Spamhaus's return codes come to."""

from datetime import UTC, datetime

import pytest

from services.security.antispam.listing import Delisting, Listing, SpamhausList
from services.security.antispam.return_codes import (
    ERRORS,
    TABLE,
    errors,
    from_answers,
    link,
    not_in_table,
)

IP = "192.0.2.7"
NOW = datetime(2026, 11, 25, tzinfo=UTC)
LINK = "https://check.spamhaus.org/results?query=192.0.2.7"


def lists(*codes: str) -> list[SpamhausList]:
    return [listing.list for listing in from_answers(IP, codes, NOW).listings]


@pytest.mark.parametrize(
    ("code", "name", "delisting"),
    [
        ("127.0.0.2", SpamhausList.SBL, Delisting.ISP),
        ("127.0.0.3", SpamhausList.CSS, Delisting.SELF),
        ("127.0.0.4", SpamhausList.XBL, Delisting.SELF),
        ("127.0.0.5", SpamhausList.XBL, Delisting.SELF),
        ("127.0.0.6", SpamhausList.XBL, Delisting.SELF),
        ("127.0.0.7", SpamhausList.XBL, Delisting.SELF),
        ("127.0.0.9", SpamhausList.DROP, Delisting.ISP),
        ("127.0.0.10", SpamhausList.PBL, Delisting.ISP),
        ("127.0.0.11", SpamhausList.PBL, Delisting.SELF),
        ("127.0.0.30", SpamhausList.BCL, Delisting.ISP),
    ],
)
def test_a_code_is_of_one_list(code: str, name: SpamhausList, delisting: Delisting) -> None:
    look_up = from_answers(IP, [code], NOW)
    assert (look_up.ip, look_up.unknown, look_up.time) == (IP, "", NOW)
    assert look_up.listings == (Listing(name, (code,), delisting, LINK),)


def test_every_list_has_a_code() -> None:
    assert {name for name, _ in TABLE.values()} == set(SpamhausList)


def test_no_code_is_clean() -> None:
    look_up = from_answers(IP, [], NOW)
    assert (look_up.listings, look_up.unknown) == ((), "")


def test_several_lists_come_in_the_same_order_however_they_were_answered() -> None:
    expected = [SpamhausList.SBL, SpamhausList.XBL, SpamhausList.DROP, SpamhausList.PBL]
    assert lists("127.0.0.11", "127.0.0.9", "127.0.0.2", "127.0.0.4") == expected
    assert lists("127.0.0.4", "127.0.0.2", "127.0.0.11", "127.0.0.9", "127.0.0.2") == expected


def test_several_codes_of_a_list_are_one_listing_that_needs_the_provider_if_one_does() -> None:
    [listing] = from_answers(IP, ["127.0.0.11", "127.0.0.10"], NOW).listings
    assert listing.return_codes == ("127.0.0.10", "127.0.0.11")
    assert listing.delisting is Delisting.ISP


def test_each_error_has_a_sentence_of_its_own_and_lists_nothing() -> None:
    sentences = {from_answers(IP, [code], NOW).unknown for code in ERRORS}
    assert len(sentences) == len(ERRORS) == 3
    assert all(sentence.endswith(".") for sentence in sentences)


@pytest.mark.parametrize("code", ["127.255.255.252", "127.255.255.254", "127.255.255.255"])
def test_an_error_beside_a_listing_is_an_error(code: str) -> None:
    look_up = from_answers(IP, ["127.0.0.2", code], NOW)
    assert (look_up.listings, look_up.unknown) == ((), ERRORS[code])


@pytest.mark.parametrize("code", ["127.255.255.0", "127.255.255.250", "127.255.255.253"])
def test_an_error_that_is_not_made_yet_is_an_error(code: str) -> None:
    look_up = from_answers(IP, [code, "127.0.0.4"], NOW)
    assert not look_up.listings
    assert code in look_up.unknown
    assert errors([code, "127.0.0.4"]) == [code]


@pytest.mark.parametrize("code", ["127.0.0.1", "127.0.0.8", "127.0.0.20", "127.0.1.2", "127.1.1.1"])
def test_a_code_that_is_not_in_the_table_is_not_known_alone_and_passed_over_beside_one(
    code: str,
) -> None:
    look_up = from_answers(IP, [code], NOW)
    assert not look_up.listings
    assert code in look_up.unknown
    assert lists(code, "127.0.0.4") == [SpamhausList.XBL]
    assert not_in_table([code, "127.0.0.4", "127.255.255.254"]) == [code]


@pytest.mark.parametrize("code", ["10.0.0.1", "198.51.100.1", "0.0.0.0"])
def test_an_answer_that_no_blocklist_gives_is_a_resolver_that_lies(code: str) -> None:
    look_up = from_answers(IP, ["127.0.0.2", code], NOW)
    assert not look_up.listings
    assert "resolver makes answers up" in look_up.unknown


def test_the_link_quotes_an_address() -> None:
    assert link("2001:db8::7") == "https://check.spamhaus.org/results?query=2001%3Adb8%3A%3A7"
