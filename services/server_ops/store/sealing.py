"""BMC credentials at rest: AES-256-GCM under a numbered key, bound to the server they belong to."""

import json
import os
from collections.abc import Mapping

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE_BYTES = 12
_NUMBER_BYTES = 2


class SealBroken(Exception):  # noqa: N818 - it says what happened
    """What was read is not what was sealed for this server, or its key is gone."""


class Sealer:
    """Seals with the newest key and opens with any."""

    def __init__(self, keys: Mapping[int, bytes]) -> None:
        """`keys` are 32 bytes each, by number, at least one."""
        self._keys = {number: AESGCM(key) for number, key in keys.items()}
        self._newest = max(keys)

    def seal(self, hostname: str, username: bytes, password: bytes) -> bytes:
        """The credentials, sealed: key number, nonce, ciphertext and tag."""
        nonce = os.urandom(_NONCE_BYTES)
        content = json.dumps([username.decode("latin-1"), password.decode("latin-1")]).encode()
        sealed = self._keys[self._newest].encrypt(nonce, content, hostname.encode())
        return self._newest.to_bytes(_NUMBER_BYTES) + nonce + sealed

    def open(self, hostname: str, sealed: bytes) -> tuple[bytes, bytes]:
        """User name and password. Raises SealBroken."""
        number, rest = int.from_bytes(sealed[:_NUMBER_BYTES]), sealed[_NUMBER_BYTES:]
        nonce, content = rest[:_NONCE_BYTES], rest[_NONCE_BYTES:]
        try:
            opened = self._keys[number].decrypt(nonce, content, hostname.encode())
        except (KeyError, InvalidTag):
            raise SealBroken from None
        username, password = json.loads(opened)
        return username.encode("latin-1"), password.encode("latin-1")
