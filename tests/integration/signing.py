"""Auth's own signer, from the secrets of an installation: what an attacker does not have."""

import base64
import json
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from services.auth.rotation import SIGNING_KEYS
from services.runtime.principal import PrincipalSigner


def signer_of(secrets: Path) -> PrincipalSigner:
    """Signs as auth does with its first key."""
    keys = json.loads((secrets / SIGNING_KEYS).read_text())
    number, dated = next(iter(keys.items()))
    key = Ed25519PrivateKey.from_private_bytes(base64.b64decode(dated["key"]))
    return PrincipalSigner(int(number), key)
