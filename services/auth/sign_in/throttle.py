"""Guessing made slow: the more failures, the longer the wait, for a user and for an address."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from f2h.access.v1.reason_pb2 import Reason

from services.runtime.clock import Clock
from services.runtime.errors import ApiError
from services.runtime.networks import neighbourhood


@dataclass(frozen=True)
class Patience:
    """How somebody is treated who fails."""

    free: int
    """So many failures cost nothing."""
    longest: timedelta
    """What a further one costs at most."""
    forgotten: timedelta
    """After how long without a failure all is forgotten."""

    def delay(self, failures: int) -> timedelta:
        """How long after so many failures the next attempt must wait: 1 s, 2 s, 4 s and so on."""
        if failures < self.free:
            return timedelta()
        doubled = min(failures - self.free, 40)  # enough for any limit, and no overflow
        return min(timedelta(seconds=2**doubled), self.longest)


USER = Patience(free=5, longest=timedelta(minutes=5), forgotten=timedelta(hours=1))
ADDRESS = Patience(free=20, longest=timedelta(hours=1), forgotten=timedelta(hours=24))


@dataclass(frozen=True)
class Slot:
    """Whose attempts are counted together, and how."""

    subject: str
    patience: Patience


class Failures(Protocol):
    """Where failures are counted, for all processes."""

    async def take(self, slots: list[Slot], now: datetime) -> timedelta:
        """Counts an attempt as failed in every slot, in one step, before it is looked at.

        Answers how long it must wait instead; then nothing was counted. Zero: it may be tried.
        """
        ...

    async def clear(self, subject: str) -> None:
        """Forgets the failures of a subject."""
        ...


class Throttle:
    """Lets attempts pass, or tells them to wait."""

    def __init__(self, failures: Failures, clock: Clock) -> None:
        self._failures = failures
        self._clock = clock

    async def begin(self, user: str, address: str) -> None:
        """Before an attempt for a user, whether or not there is one; an empty one counts nothing.

        Raises ApiError(RATE_LIMITED), the same for known and unknown users.
        """
        slots = [Slot(_subject_of_address(address), ADDRESS)]
        if user:
            slots.insert(0, Slot(_subject_of_user(user), USER))
        wait = await self._failures.take(slots, self._clock())
        if wait:
            seconds = wait.total_seconds()
            raise ApiError(
                Reason.RATE_LIMITED,
                f"Too many attempts failed. Try again in {max(round(seconds), 1)} s.",
                retry_after_seconds=seconds,
            )

    async def succeeded(self, user: str) -> None:
        """After an attempt that was right. What failed from the address stays counted."""
        await self._failures.clear(_subject_of_user(user))


def _subject_of_user(user: str) -> str:
    return f"user:{user.lower()}"


def _subject_of_address(address: str) -> str:
    return f"address:{neighbourhood(address)}"
