import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.auth.rings import digests

OLD, NEW = bytes(range(32)), bytes(32)


def test_new_digests_are_made_with_the_newest_pepper() -> None:
    assert digests({1: OLD, 10: NEW, 9: OLD}).in_use == 10


def test_a_digest_is_the_hmac_of_the_secret_under_its_pepper() -> None:
    assert digests({1: OLD, 2: NEW}).digest("secret", 1) == hmac.digest(OLD, b"secret", "sha256")


@given(st.text())
def test_a_secret_matches_its_digest_also_after_a_new_pepper_came(secret: str) -> None:
    digest = digests({1: OLD}).digest(secret, 1)
    assert digests({1: OLD, 2: NEW}).matches(secret, 1, digest)


@given(st.text(), st.text())
def test_another_secret_does_not_match(secret: str, other: str) -> None:
    made = digests({1: OLD})
    assert made.matches(other, 1, made.digest(secret, 1)) == (secret == other)


def test_a_digest_matches_under_its_own_pepper_only() -> None:
    made = digests({1: OLD, 2: NEW})
    assert not made.matches("secret", 2, made.digest("secret", 1))


@pytest.mark.parametrize("pepper", [0, 2, -1])
def test_a_pepper_that_is_gone_matches_nothing(pepper: int) -> None:
    made = digests({1: OLD})
    assert not made.matches("secret", pepper, made.digest("secret", 1))
    assert not made.matches("secret", pepper, made.digest("secret", pepper))


@pytest.mark.parametrize("digest", [b"", bytes(31), bytes(32), hashlib.sha256(b"secret").digest()])
def test_what_is_no_digest_of_the_secret_matches_nothing(digest: bytes) -> None:
    assert not digests({1: OLD}).matches("secret", 1, digest)
