"""What is stored of a secret: its HMAC-SHA-256 under a numbered pepper.

A secret has 196 random bits, so a slow password hash would add nothing but load. The pepper is not
in the database: who reads the database alone can neither use nor test a key.
"""

import hmac
from collections.abc import Mapping


class Digests:
    """Makes digests with the newest pepper and compares with any."""

    def __init__(self, peppers: Mapping[int, bytes]) -> None:
        """`peppers` by number, at least one."""
        self._peppers = dict(peppers)
        self.newest = max(peppers)
        """The number of the pepper that new digests are made with."""

    def digest(self, secret: str, pepper: int) -> bytes:
        """32 bytes. A pepper that is gone gives the digest of another, which matches nothing."""
        key = self._peppers.get(pepper, self._peppers[self.newest])
        return hmac.digest(key, secret.encode(), "sha256")

    def matches(self, secret: str, pepper: int, digest: bytes) -> bool:
        """Whether the digest is that of the secret, in constant time."""
        known = pepper in self._peppers
        return hmac.compare_digest(self.digest(secret, pepper), digest) and known
