"""Tokens as auth makes them, and the keys that they are verified with."""

import base64
import time
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from f2h.auth.v1 import token_pb2

TOKEN_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
"""What tokens are signed with."""

CLAIMED = "signed-by-auth-in-the-token"
"""The principal in a token."""


def token_keys(**keys: Ed25519PrivateKey) -> bytes:
    """What auth answers when it is asked for the keys of tokens: these, each by its "k" number."""
    made = token_pb2.ListTokenKeysResponse()
    for name, key in keys.items():
        x = base64.urlsafe_b64encode(key.public_key().public_bytes_raw()).rstrip(b"=").decode()
        kid = name.removeprefix("k")
        made.keys.add(kty="OKP", crv="Ed25519", x=x, kid=kid, alg="EdDSA", use="sig")
    return made.SerializeToString()


def token(key: Any = TOKEN_KEY, algorithm: str = "EdDSA", kid: str = "1", **changes: Any) -> str:
    """A token for a minute; a claim that is None is left out.

    It has no subject, whom auth always names: so it counts in nobody's quota, and can be tried
    again and again.
    """
    now = int(time.time())
    claims = {
        "iss": "f2hcloud",
        "aud": "f2hcloud-api",
        "iat": now,
        "exp": now + 60,
        "principal": CLAIMED,
        **changes,
    }
    kept = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(kept, key, algorithm=algorithm, headers={"kid": kid})


def bearer(text: str) -> dict[str, str]:
    """The header of a token."""
    return {"authorization": f"Bearer {text}"}
