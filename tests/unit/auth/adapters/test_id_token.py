"""Which ID Tokens are believed."""

import base64
import hmac
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import ECKey, Key, KeySet, OctKey, OKPKey, RSAKey

from services.auth.adapters.id_token import signing_keys, verified_claims

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SECONDS = int(NOW.timestamp())
ISSUER = "https://id.example.com"
CLIENT = "console"
NONCE = "a nonce"
SECRET = "the client's secret"

KEY = RSAKey.generate_key(2048, {"kid": "one", "use": "sig", "alg": "RS256"})
STRANGE_KEY = RSAKey.generate_key(2048, {"kid": "one"})

CLAIMS = {
    "iss": ISSUER,
    "sub": "ada",
    "aud": CLIENT,
    "exp": SECONDS + 300,
    "iat": SECONDS,
    "nonce": NONCE,
}


def published(*keys: Key) -> KeySet:
    return signing_keys({"keys": [key.as_dict(private=False) for key in keys]})


def signed(
    claims: dict[str, Any], key: Key = KEY, alg: str = "RS256", kid: str | None = "one"
) -> str:
    header = {"alg": alg, **({"kid": kid} if kid else {})}
    return jwt.encode(header, claims, key, algorithms=[alg])


def by_hand(header: dict[str, Any], sign: Callable[[bytes], bytes]) -> str:
    """A token that no library makes."""
    content = b".".join(encoded(json.dumps(part).encode()) for part in (header, CLAIMS))
    return (content + b"." + encoded(sign(content))).decode()


def encoded(content: bytes) -> bytes:
    return base64.urlsafe_b64encode(content).rstrip(b"=")


def hmac_with(secret: bytes) -> Callable[[bytes], bytes]:
    return lambda content: hmac.digest(secret, content, "sha256")


def verify(token: str, keys: KeySet | None = None) -> dict[str, Any]:
    return verified_claims(
        token, keys or published(KEY), issuer=ISSUER, client_id=CLIENT, nonce=NONCE, now=NOW
    )


def test_a_token_of_the_providers_is_believed() -> None:
    assert verify(signed(CLAIMS)) == CLAIMS


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": [CLIENT]},
        {"aud": ["other", CLIENT], "azp": CLIENT},
        {"azp": CLIENT},
        {"exp": SECONDS - 59},
        {"iat": SECONDS + 60},
        {"unknown": {"to": "us"}},
    ],
    ids=str,
)
def test_what_may_differ_may_differ(changes: dict[str, Any]) -> None:
    assert verify(signed({**CLAIMS, **changes}))["sub"] == "ada"


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://id.example.com/"},
        {"iss": "https://evil.example.com"},
        {"iss": [ISSUER]},
        {"sub": ""},
        {"sub": 7},
        {"aud": "other"},
        {"aud": []},
        {"aud": {CLIENT: True}},
        {"aud": ["other", CLIENT]},
        {"aud": ["other", CLIENT], "azp": "other"},
        {"azp": "other"},
        {"azp": None},
        {"exp": SECONDS - 60},
        {"exp": str(SECONDS + 300)},
        {"exp": True},
        {"iat": SECONDS + 61},
        {"iat": "now"},
        {"nbf": SECONDS + 61},
        {"nonce": "another"},
        {"nonce": ""},
    ],
    ids=str,
)
def test_a_claim_that_is_wrong_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(JoseError):
        verify(signed({**CLAIMS, **changes}))


@pytest.mark.parametrize("claim", CLAIMS)
def test_a_claim_that_is_missing_is_refused(claim: str) -> None:
    with pytest.raises(JoseError):
        verify(signed({name: value for name, value in CLAIMS.items() if name != claim}))


FORGERIES = {
    "another key of the same name": signed(CLAIMS, STRANGE_KEY),
    "another key without a name": signed(CLAIMS, STRANGE_KEY, kid=None),
    "no signature": by_hand({"alg": "none"}, lambda _: b""),
    "no signature, with the key's name": by_hand({"alg": "none", "kid": "one"}, lambda _: b""),
    "no signature, spelt otherwise": by_hand({"alg": "None", "kid": "one"}, lambda _: b""),
    "the secret as key": by_hand({"alg": "HS256"}, hmac_with(SECRET.encode())),
    "the public key as secret": by_hand(
        {"alg": "HS256", "kid": "one"}, hmac_with(KEY.as_pem(private=False))
    ),
    "no algorithm": by_hand({"kid": "one"}, lambda _: b""),
    "an algorithm that is not the key's": signed(
        CLAIMS, RSAKey(KEY.raw_value, KEY.raw_value), "PS256"
    ),
    "its own key in it": by_hand(
        {"alg": "RS256", "kid": "one", "jwk": STRANGE_KEY.as_dict(private=False)}, lambda _: b"x"
    ),
    "a critical header": by_hand(
        {"alg": "RS256", "kid": "one", "crit": ["x"], "x": 1}, lambda _: b""
    ),
    "a cut signature": signed(CLAIMS)[:-4],
    "another payload": signed(CLAIMS).replace(".", ".e30.", 1).rsplit(".", 2)[0] + ".e30",
    "two parts": signed(CLAIMS).rsplit(".", 1)[0],
    "nothing": "",
    "no text": "é",
}


@pytest.mark.parametrize("token", FORGERIES.values(), ids=FORGERIES)
def test_a_forged_token_is_refused(token: str) -> None:
    with pytest.raises(JoseError):
        verify(token)


def test_a_secret_that_is_published_verifies_nothing() -> None:
    secret = OctKey.import_key("x" * 32, {"kid": "secret"})
    keys = signing_keys({"keys": [secret.as_dict(private=True), KEY.as_dict(private=False)]})
    assert [key.kid for key in keys] == ["one"]
    with pytest.raises(JoseError):
        verify(jwt.encode({"alg": "HS256", "kid": "secret"}, CLAIMS, secret), keys)


def test_a_key_that_is_not_known_is_told_apart() -> None:
    with pytest.raises(InvalidKeyIdError):
        verify(signed(CLAIMS, kid="two"))


@pytest.mark.parametrize(
    ("alg", "key"),
    [
        ("PS256", RSAKey.generate_key(2048, {"kid": "one"})),
        ("ES256", ECKey.generate_key("P-256", {"kid": "one"})),
        ("ES384", ECKey.generate_key("P-384", {"kid": "one"})),
        ("Ed25519", OKPKey.generate_key("Ed25519", {"kid": "one"})),
    ],
)
def test_other_signatures_are_believed(alg: str, key: Key) -> None:
    other = RSAKey.generate_key(2048, {"kid": "other"})
    assert verify(signed(CLAIMS, key, alg), published(other, key)) == CLAIMS


def test_the_only_key_needs_no_name() -> None:
    assert verify(signed(CLAIMS, kid=None)) == CLAIMS
    with pytest.raises(InvalidKeyIdError):
        verify(signed(CLAIMS, kid=None), published(KEY, ECKey.generate_key("P-256")))


WEAK = rsa.generate_private_key(65537, 1024).public_key().public_numbers()
USELESS: list[Any] = [
    {"kty": "RSA", "kid": "weak", "e": "AQAB", "n": encoded(WEAK.n.to_bytes(128)).decode()},
    {"kty": "RSA", "kid": "broken", "e": "AQAB", "n": "!" * 342},
    {"kty": "EC", "kid": "half"},
    {"kty": "EC", "crv": "P-256", "x": 1, "y": []},
    {"kty": "AKP", "alg": "ML-DSA-44", "pub": "AAAA"},
    {"kty": ["RSA"]},
    {},
    None,
]


def test_keys_that_are_of_no_use_do_no_harm() -> None:
    keys = signing_keys({"keys": [*USELESS, KEY.as_dict(private=False)]})
    assert [key.kid for key in keys] == ["one"]


@pytest.mark.parametrize("keys", [None, {}, "keys", [], USELESS])
def test_a_set_without_a_key_is_none(keys: Any) -> None:
    with pytest.raises(ValueError, match="no keys"):
        signing_keys({"keys": keys})


def test_a_key_for_encryption_verifies_nothing() -> None:
    key = RSAKey(KEY.raw_value, KEY.raw_value, {"kid": "one", "use": "enc"})
    with pytest.raises(JoseError):
        verify(signed(CLAIMS), published(key))
