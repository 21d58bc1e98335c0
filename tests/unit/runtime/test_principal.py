import base64
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from f2h.access.v1.principal_pb2 import Principal, SignedPrincipal
from f2h.access.v1.reason_pb2 import Reason
from hypothesis import given
from hypothesis import strategies as st

from services.runtime.access import Audience
from services.runtime.errors import ApiError
from services.runtime.principal import OwnName, PrincipalSigner, PrincipalVerifier

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
END = int(NOW.timestamp()) + 30
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER = Ed25519PrivateKey.from_private_bytes(bytes(32))
PRINCIPAL = Principal(
    audience=Audience.CUSTOMER,
    subject="0123456789abcdef",
    account="demo",
    policy_digest=bytes(range(32)),
    expire_seconds=END,
)
HEADER = PrincipalSigner(1, KEY).sign(PRINCIPAL)


def verifier(now: datetime = NOW) -> PrincipalVerifier:
    return PrincipalVerifier({1: KEY.public_key(), 2: OTHER.public_key()}, lambda: now)


def refusal(header: str, by: PrincipalVerifier | None = None) -> ApiError:
    with pytest.raises(ApiError) as refused:
        (by or verifier()).verify(header)
    assert refused.value.reason == Reason.PRINCIPAL_INVALID
    return refused.value


def test_what_was_signed_is_verified_again_and_again() -> None:
    by = verifier()
    assert [by.verify(HEADER) for _ in range(3)] == [PRINCIPAL] * 3


def test_a_header_is_a_header() -> None:
    assert HEADER.isascii()
    assert HEADER.isprintable()
    assert " " not in HEADER


@given(st.data())
def test_any_changed_byte_is_refused(data: st.DataObject) -> None:
    content = bytearray(base64.urlsafe_b64decode(HEADER))
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] ^= data.draw(st.integers(1, 255))
    refusal(base64.urlsafe_b64encode(content).decode())


@given(st.integers(0, len(HEADER) - 1), st.characters())
def test_any_changed_character_changes_no_principal(at: int, other: str) -> None:
    """The padding bits of base64 mean nothing, so not every other text is another principal."""
    try:
        assert verifier().verify(HEADER[:at] + other + HEADER[at + 1 :]) == PRINCIPAL
    except ApiError as error:
        assert error.reason == Reason.PRINCIPAL_INVALID


@given(st.text() | st.binary().map(lambda content: base64.urlsafe_b64encode(content).decode()))
def test_what_nobody_signed_is_refused(header: str) -> None:
    refusal(header)


@pytest.mark.parametrize("length", range(0, len(HEADER), 7))
def test_a_part_of_a_header_is_refused(length: int) -> None:
    refusal(HEADER[:length])


@pytest.mark.parametrize("seconds", [30, 31, 86400])
def test_a_principal_ends_also_when_it_was_verified_before(seconds: int) -> None:
    now = NOW

    by = PrincipalVerifier({1: KEY.public_key()}, lambda: now)
    by.verify(HEADER)
    now = NOW + timedelta(seconds=29.9)
    by.verify(HEADER)
    now = NOW + timedelta(seconds=seconds)
    refusal(HEADER, by)
    refusal(HEADER, verifier(now))


@pytest.mark.parametrize("number", [0, 2, 3, 2**31])
def test_a_signature_counts_only_under_the_number_of_its_key(number: int) -> None:
    refusal(PrincipalSigner(number, KEY).sign(PRINCIPAL))


def test_after_a_new_key_came_the_old_one_is_still_known() -> None:
    assert verifier().verify(PrincipalSigner(2, OTHER).sign(PRINCIPAL)) == PRINCIPAL
    assert verifier().verify(HEADER) == PRINCIPAL


def test_a_signature_moved_to_another_principal_is_refused() -> None:
    signed = SignedPrincipal.FromString(base64.urlsafe_b64decode(HEADER))
    stronger = Principal()
    stronger.CopyFrom(PRINCIPAL)
    stronger.audience = Audience.NOC
    signed.principal = stronger.SerializeToString()
    refusal(base64.urlsafe_b64encode(signed.SerializeToString()).decode())


def test_no_refusal_says_what_was_wrong() -> None:
    refusals = [
        refusal(""),
        refusal(HEADER[:-4]),
        refusal(PrincipalSigner(3, KEY).sign(PRINCIPAL)),
        refusal(PrincipalSigner(1, OTHER).sign(PRINCIPAL)),
        refusal(HEADER, verifier(NOW + timedelta(days=1))),
    ]
    assert len({error.status().SerializeToString() for error in refusals}) == 1


OF_SERVICES = PrincipalVerifier(
    {1: KEY.public_key()}, lambda: NOW, {"security": OTHER.public_key()}
)


def test_a_service_speaks_in_its_own_name_with_its_own_key() -> None:
    own_name = OwnName("security", PrincipalSigner(0, OTHER, "security"), lambda: NOW)
    ((name, header),) = own_name.metadata()
    principal = OF_SERVICES.verify(header)
    assert (name, principal.audience, principal.subject, principal.account) == (
        "x-f2h-principal",
        Audience.SERVICE,
        "security",
        "",
    )
    refusal(header, PrincipalVerifier({1: KEY.public_key()}, lambda: NOW))
    refusal(header, PrincipalVerifier({}, lambda: NOW, {"security": KEY.public_key()}))


@pytest.mark.parametrize(
    "principal",
    [
        PRINCIPAL,
        Principal(audience=Audience.NOC, subject="security", expire_seconds=END),
        Principal(audience=Audience.SERVICE, subject="auth", expire_seconds=END),
        Principal(audience=Audience.SERVICE, expire_seconds=END),
    ],
    ids=["customer", "NOC", "another service", "nobody"],
)
def test_a_service_can_speak_for_nobody_else(principal: Principal) -> None:
    refusal(PrincipalSigner(0, OTHER, "security").sign(principal), OF_SERVICES)
    refusal(PrincipalSigner(1, OTHER).sign(principal), OF_SERVICES)
    refusal(PrincipalSigner(1, KEY, "security").sign(principal), OF_SERVICES)
