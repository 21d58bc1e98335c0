import pytest

from services.auth.keys.secret import PREFIX, SESSION_PREFIX, generate
from services.runtime.pasted import withheld
from services.server_ops.webhooks import signing


@pytest.mark.parametrize("prefix", [PREFIX, SESSION_PREFIX])
def test_of_a_key_its_public_part_is_left(prefix: str) -> None:
    key = generate(prefix)
    public = f"{prefix}.{key.id}.…"
    assert withheld(str(key)) == public
    assert withheld(f"a_{key}, {key}.b") == f"a_{public}, {public}.b"
    assert withheld(str(key)[:-9]) == public
    assert withheld(str(key).upper()) == f"{prefix}.{key.id}.".upper() + "…"


def test_of_a_webhooks_secret_nothing_is_left() -> None:
    assert withheld(f"<{signing.new_secret()}>") == "<whsec_…>"


@pytest.mark.parametrize(
    "text", ["", "nightly", "f2h.example.net", f"f2h.{'a' * 16}.example.net", "whsec_", "a.b.c"]
)
def test_what_is_no_secret_is_left_as_it_is(text: str) -> None:
    assert withheld(text) == text
