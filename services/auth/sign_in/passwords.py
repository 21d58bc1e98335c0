"""Passwords, kept as argon2id (RFC 9106)."""

import asyncio

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

AT_ONCE = 4
"""How many are hashed at a time: each takes 64 MiB."""


class Passwords:
    """Hashes and verifies, in threads, so that nobody else waits."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        """`hasher` sets the cost; by default that of RFC 9106's second choice."""
        self._hasher = hasher or PasswordHasher()
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._nobodys = self._hasher.hash("nobody has this password")

    async def hash(self, password: str) -> str:
        """The encoded form, with a salt of its own."""
        async with self._turns:
            return await asyncio.to_thread(self._hasher.hash, password)

    async def verify(self, kept: str | None, password: str) -> bool:
        """Whether the password is the kept one. With nothing kept, it takes as long to say no."""
        async with self._turns:
            right = await asyncio.to_thread(self._verify, kept or self._nobodys, password)
        return right and kept is not None

    def is_outdated(self, kept: str) -> bool:
        """Whether the kept form costs less, or other, to guess than one that is made today."""
        return self._hasher.check_needs_rehash(kept)

    def _verify(self, kept: str, password: str) -> bool:
        try:
            return self._hasher.verify(kept, password)
        except (VerificationError, InvalidHashError):
            return False
