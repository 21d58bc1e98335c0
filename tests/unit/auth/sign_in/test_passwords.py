import asyncio
import threading
from typing import Literal

import pytest
from argon2 import PasswordHasher
from argon2.profiles import RFC_9106_LOW_MEMORY

from services.auth.sign_in.passwords import AT_ONCE, Passwords


class Counted(PasswordHasher):
    """Counts verifications, and how many run at the same moment."""

    def __init__(self) -> None:
        super().__init__(time_cost=1, memory_cost=8, parallelism=1)
        self.verified: list[bytes | str] = []
        self.most = 0
        self._running = 0
        self._lock = threading.Lock()

    def verify(self, hash: bytes | str, password: bytes | str) -> Literal[True]:  # noqa: A002 - as argon2 has it
        with self._lock:
            self.verified.append(hash)
            self._running += 1
            self.most = max(self.most, self._running)
        try:
            return super().verify(hash, password)
        finally:
            with self._lock:
                self._running -= 1


async def test_a_password_is_verified_and_another_is_not() -> None:
    passwords = Passwords(Counted())
    kept = await passwords.hash("correct horse battery")
    assert kept.startswith("$argon2id$")
    assert await passwords.verify(kept, "correct horse battery")
    assert not await passwords.verify(kept, "correct horse batterz")
    assert await passwords.hash("correct horse battery") != kept, "each has a salt of its own"


async def test_an_unknown_user_costs_what_a_wrong_password_costs() -> None:
    hasher = Counted()
    passwords = Passwords(hasher)
    kept = await passwords.hash("correct horse battery")
    for each in (kept, None):
        hasher.verified.clear()
        assert not await passwords.verify(each, "wrong")
        assert len(hasher.verified) == 1
        [used] = hasher.verified
        assert isinstance(used, str)
        assert used.split("$")[:4] == kept.split("$")[:4], "of the same cost"


@pytest.mark.parametrize("password", ["nobody has this password", "", "\0", "é" * 256])
async def test_no_password_is_that_of_nobody(password: str) -> None:
    assert not await Passwords(Counted()).verify(None, password)


async def test_what_is_no_hash_is_verified_by_nothing() -> None:
    assert not await Passwords(Counted()).verify("not a hash", "not a hash")


async def test_a_crowd_takes_turns() -> None:
    hasher = Counted()
    passwords = Passwords(hasher)
    await asyncio.gather(*(passwords.verify(None, "wrong") for _ in range(40)))
    assert len(hasher.verified) == 40
    assert hasher.most <= AT_ONCE


async def test_the_cost_is_what_the_rfc_recommends_and_less_is_outdated() -> None:
    passwords = Passwords()
    kept = await passwords.hash("correct horse battery")
    assert f"m={RFC_9106_LOW_MEMORY.memory_cost},t={RFC_9106_LOW_MEMORY.time_cost}" in kept
    assert not passwords.is_outdated(kept)
    assert passwords.is_outdated(await Passwords(Counted()).hash("correct horse battery"))
