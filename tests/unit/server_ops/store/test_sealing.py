import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.server_ops.store.sealing import SealBroken, Sealer

KEY, OTHER = bytes(range(32)), bytes(32)


@given(st.binary(max_size=16), st.binary(max_size=20))
def test_what_was_sealed_is_opened_also_after_a_new_key_came(
    username: bytes, password: bytes
) -> None:
    sealed = Sealer({1: KEY}).seal("ns1.example.net", username, password)
    assert Sealer({1: KEY, 2: OTHER}).open("ns1.example.net", sealed) == (username, password)


def test_the_password_is_not_in_what_is_stored() -> None:
    sealed = Sealer({1: KEY}).seal("ns1.example.net", b"admin", b"correct horse")
    assert b"correct horse" not in sealed
    assert b"admin" not in sealed


def test_credentials_moved_to_another_server_are_refused() -> None:
    sealed = Sealer({1: KEY}).seal("ns1.example.net", b"admin", b"secret")
    with pytest.raises(SealBroken):
        Sealer({1: KEY}).open("ns2.example.net", sealed)


@given(st.data())
def test_any_changed_byte_is_refused(data: st.DataObject) -> None:
    sealer = Sealer({1: KEY})
    sealed = bytearray(sealer.seal("ns1.example.net", b"admin", b"secret"))
    at = data.draw(st.integers(0, len(sealed) - 1))
    sealed[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(SealBroken):
        sealer.open("ns1.example.net", bytes(sealed))
