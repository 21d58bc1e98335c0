"""What is signed with the numbered Ed25519 keys: principals, and tokens as JSON Web Tokens."""

import base64
from collections.abc import Mapping
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from f2h.access.v1.principal_pb2 import Principal

from services.auth.keys.ring import KeyRing
from services.runtime.principal import PrincipalSigner

ALGORITHM = "EdDSA"
"""RFC 8037, section 3.1."""


class Signing:
    """Implements Signer for principals, and signs tokens, with the key in use."""

    def __init__(self, ring: KeyRing[Ed25519PrivateKey]) -> None:
        self._ring = ring
        self._keys = dict(ring.items())

    def sign(self, principal: Principal) -> str:
        """The value of the principal's header, ASCII."""
        number = self._ring.in_use
        return PrincipalSigner(number, self._keys[number]).sign(principal)

    def token(self, claims: Mapping[str, Any]) -> str:
        """A JSON Web Token (RFC 7519) in its compact form."""
        number = self._ring.in_use
        return jwt.encode(
            dict(claims), self._keys[number], algorithm=ALGORITHM, headers={"kid": str(number)}
        )

    def public_keys(self) -> dict[str, str]:
        """The public half of every key that is known, base64url, by its number."""
        return {str(number): _public(key) for number, key in self._keys.items()}


def _public(key: Ed25519PrivateKey) -> str:
    return base64.urlsafe_b64encode(key.public_key().public_bytes_raw()).rstrip(b"=").decode()
