"""What is stored of a secret: its HMAC-SHA-256 under a numbered pepper.

A secret has 196 random bits, so a slow password hash would add nothing but load. The pepper is not
in the database: who reads the database alone can neither use nor test a key.
"""

import hmac

from services.auth.keys.ring import KeyRing


class Digests:
    """Makes digests with the pepper in use and compares with any."""

    def __init__(self, peppers: KeyRing[bytes]) -> None:
        self._peppers = peppers

    @property
    def in_use(self) -> int:
        """The number of the pepper that new digests are made with."""
        return self._peppers.in_use

    def digest(self, secret: str, pepper: int) -> bytes:
        """32 bytes. A pepper that is gone gives the digest of another, which matches nothing."""
        key = self._peppers.get(pepper) or self._peppers.get(self.in_use) or b""
        return hmac.digest(key, secret.encode(), "sha256")

    def matches(self, secret: str, pepper: int, digest: bytes) -> bool:
        """Whether the digest is that of the secret, in constant time."""
        known = self._peppers.get(pepper) is not None
        return hmac.compare_digest(self.digest(secret, pepper), digest) and known
