"""Secrets at rest: AES-256-GCM under a numbered key, bound to what they belong to."""

import os
from collections.abc import Mapping

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE_BYTES = 12
_NUMBER_BYTES = 2


class SealBroken(Exception):  # noqa: N818 - it says what happened
    """What was read is not what was sealed for this owner, or its key is gone."""


class Sealer:
    """Seals with the newest key and opens with any."""

    def __init__(self, keys: Mapping[int, bytes]) -> None:
        """`keys` are 32 bytes each, by number, at least one."""
        self._keys = {number: AESGCM(key) for number, key in keys.items()}
        self._newest = max(keys)

    def seal(self, owner: str, content: bytes) -> bytes:
        """The content, sealed for its owner: key number, nonce, ciphertext and tag."""
        nonce = os.urandom(_NONCE_BYTES)
        sealed = self._keys[self._newest].encrypt(nonce, content, owner.encode())
        return self._newest.to_bytes(_NUMBER_BYTES) + nonce + sealed

    def open(self, owner: str, sealed: bytes) -> bytes:
        """The content. Raises SealBroken."""
        number, rest = int.from_bytes(sealed[:_NUMBER_BYTES]), sealed[_NUMBER_BYTES:]
        nonce, content = rest[:_NONCE_BYTES], rest[_NONCE_BYTES:]
        try:
            return self._keys[number].decrypt(nonce, content, owner.encode())
        except (KeyError, InvalidTag, ValueError):
            raise SealBroken from None
