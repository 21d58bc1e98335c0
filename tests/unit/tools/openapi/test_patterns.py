import pytest

from tools.openapi.patterns import ecma


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("^[a-z]{1,3}$", "^[a-z]{1,3}$"),
        (r"^[^\p{Cc}]*$", r"^[^\u0000-\u001f\u007f-\u009f]*$"),
        (r"[\x{200B}\x{2028}-\x{202E}]", r"[\u200B\u2028-\u202E]"),
        ("[[:cntrl:]]", r"[\u0000-\u001f\u007f]"),
    ],
)
def test_a_pattern_of_re2_is_told_as_ecma_has_it(ours: str, theirs: str) -> None:
    assert ecma(ours) == theirs


@pytest.mark.parametrize(
    "pattern", [r"\pL", r"\Aa\z", "(?i)a", "[[:alpha:]]", r"\Qa\E", r"\x{E0000}"]
)
def test_a_pattern_that_ecma_has_not_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="does not know"):
        ecma(pattern)
