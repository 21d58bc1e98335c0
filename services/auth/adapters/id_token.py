"""Who an ID Token vouches for: OpenID Connect Core 1.0, section 3.1.3.7."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from joserfc import jwt
from joserfc.errors import InvalidClaimError, JoseError
from joserfc.jwk import JWKRegistry, Key, KeySet
from joserfc.jws import JWSRegistry

_LEEWAY_SECONDS = 60
"""How far the provider's clock may be from ours."""

# Signatures that only the provider can make. With "none" anybody could, with HS256 everybody who
# knows the client's secret.
_ALGORITHMS = (
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512", "Ed25519"),
)
_KEY_TYPES = ("RSA", "EC", "OKP")

_RSA_MODULUS_CHARACTERS = 342
"""2048 bits in base64url: the least that RFC 7518, section 3.3, allows."""


def signing_keys(published: Mapping[str, Any]) -> KeySet:
    """The keys of a JWK Set (RFC 7517) that can have signed an ID Token; others are left out, as
    its section 5 asks. Raises ValueError when there are none.
    """
    entries = published.get("keys")
    keys = KeySet(list(_usable(entries if isinstance(entries, list) else [])))
    if not keys:
        raise ValueError("no keys")
    return keys


def verified_claims(
    token: str, keys: KeySet, *, issuer: str, client_id: str, nonce: str, now: datetime
) -> dict[str, Any]:
    """The claims, of which `sub` is certain to be there.

    Raises InvalidKeyIdError when none of the keys is named in the token, and another JoseError
    for everything else that is wrong.
    """
    # Headers that are unknown here may be known elsewhere; critical ones are refused even so.
    registry = JWSRegistry(algorithms=_ALGORITHMS, strict_check_header=False)
    claims = jwt.decode(token, keys, registry=registry).claims
    jwt.JWTClaimsRegistry(
        now=int(now.timestamp()),
        leeway=_LEEWAY_SECONDS,
        iss={"essential": True, "value": issuer},
        sub={"essential": True},
        aud={"essential": True, "value": client_id},
        exp={"essential": True},
        iat={"essential": True},
        nonce={"essential": True, "value": nonce},
    ).validate(claims)
    _require_presenter(claims, client_id)
    return claims


def _require_presenter(claims: Mapping[str, Any], client_id: str) -> None:
    """Refuses a token that was made for another client, even if it may be shown to us."""
    audience = claims["aud"]
    several = isinstance(audience, list) and len(audience) > 1
    if (several or "azp" in claims) and claims.get("azp") != client_id:
        raise InvalidClaimError("azp")


def _usable(entries: list[Any]) -> Iterator[Key]:
    for entry in entries:
        if not isinstance(entry, dict) or entry.get("kty") not in _KEY_TYPES:
            continue
        if entry["kty"] == "RSA" and len(str(entry.get("n", ""))) < _RSA_MODULUS_CHARACTERS:
            continue
        try:
            yield JWKRegistry.import_key(entry)
        except (JoseError, ValueError, TypeError, KeyError):
            continue
