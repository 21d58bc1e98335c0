import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.runtime.sealing import SealBroken, Sealer

KEY, OTHER = bytes(range(32)), bytes(32)


@given(st.binary(max_size=40))
def test_what_was_sealed_is_opened_also_after_a_new_key_came(content: bytes) -> None:
    sealed = Sealer({1: KEY}).seal("ns1.example.net", content)
    assert Sealer({1: KEY, 2: OTHER}).open("ns1.example.net", sealed) == content


def test_the_secret_is_not_in_what_is_stored() -> None:
    sealed = Sealer({1: KEY}).seal("ns1.example.net", b"correct horse")
    assert b"correct horse" not in sealed


def test_what_was_moved_to_another_owner_is_refused() -> None:
    sealed = Sealer({1: KEY}).seal("ns1.example.net", b"secret")
    with pytest.raises(SealBroken):
        Sealer({1: KEY}).open("ns2.example.net", sealed)


@given(st.data())
def test_any_changed_byte_is_refused(data: st.DataObject) -> None:
    sealer = Sealer({1: KEY})
    sealed = bytearray(sealer.seal("ns1.example.net", b"secret"))
    at = data.draw(st.integers(0, len(sealed) - 1))
    sealed[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(SealBroken):
        sealer.open("ns1.example.net", bytes(sealed))


@given(st.binary(max_size=64))
def test_what_was_never_sealed_is_refused(nonsense: bytes) -> None:
    with pytest.raises(SealBroken):
        Sealer({1: KEY}).open("ns1.example.net", nonsense)
