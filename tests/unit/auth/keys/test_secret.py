import re
import string

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from services.auth.keys.secret import KeyText, generate, parse

BASE62 = string.digits + string.ascii_letters
KEY = generate()
TEXT = str(KEY)

characters = st.one_of(st.sampled_from(BASE62 + ".-_ "), st.characters(codec="utf-8"))
keys = st.builds(lambda _: generate(), st.integers())


def test_a_key_has_the_form_of_the_product_page() -> None:
    assert re.fullmatch(r"f2h\.[0-9a-f]{16}\.[0-9A-Za-z]{39}", TEXT)


@given(keys)
def test_what_was_generated_is_parsed(key: KeyText) -> None:
    assert parse(str(key)) == key


def test_no_two_keys_are_alike() -> None:
    made = [generate() for _ in range(1000)]
    assert len({key.id for key in made}) == len({key.secret for key in made}) == 1000


def test_the_check_is_the_documented_one() -> None:
    """Worked out by hand from the module's own words, so that other tools can check keys too."""
    key = parse("f2h.0123456789abcdef.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" + "{}")
    assert key is None
    from binascii import crc32

    digits = string.digits + string.ascii_uppercase + string.ascii_lowercase
    rest, check = crc32(b"0123456789abcdef." + b"A" * 33), ""
    while len(check) < 6:
        check = digits[rest % 62] + check
        rest //= 62
    assert parse(f"f2h.0123456789abcdef.{'A' * 33}{check}") is not None


@given(key=keys, place=st.integers(0, len(TEXT) - 1), other=characters)
def test_a_key_with_one_changed_character_is_refused(key: KeyText, place: int, other: str) -> None:
    text = str(key)
    assume(text[place] != other)
    assert parse(text[:place] + other + text[place + 1 :]) is None


@given(key=keys, place=st.integers(0, len(TEXT) - 2))
def test_a_key_with_two_neighbours_exchanged_is_refused(key: KeyText, place: int) -> None:
    text = str(key)
    first, second = text[place], text[place + 1]
    assume(first != second)
    assert parse(text[:place] + second + first + text[place + 2 :]) is None


def test_every_single_change_of_a_key_is_refused() -> None:
    for place, right in enumerate(TEXT):
        for other in set(BASE62) - {right}:
            assert parse(TEXT[:place] + other + TEXT[place + 1 :]) is None


@pytest.mark.parametrize(
    "text",
    ids=range(11),  # the texts are random
    argvalues=[
        "",
        "f2h",
        KEY.id,
        TEXT[:-1],
        TEXT + "A",
        TEXT + "\n",
        " " + TEXT,
        TEXT.upper(),
        TEXT.replace("f2h", "f3h"),
        f"{TEXT}.{TEXT}",
        TEXT.replace(KEY.id, "٠" * 16),
    ],
)
def test_what_has_not_the_form_is_refused(text: str) -> None:
    assert parse(text) is None


@given(st.text(max_size=80))
def test_any_text_can_be_parsed(text: str) -> None:
    assert parse(text) is None or text.startswith("f2h.")


def test_what_is_shown_of_a_key_in_a_trace_holds_no_secret() -> None:
    shown = repr(KEY)
    assert KEY.id in shown
    assert KEY.secret not in shown
    assert KEY.secret not in repr([KEY])
    assert KEY.secret not in f"{KEY!r}"
