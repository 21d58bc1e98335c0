"""Guessing made slow: the more failures, the longer the wait, for a user and for an address."""

import math
from collections.abc import Mapping
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


@dataclass(frozen=True)
class Taken:
    """What came of counting an attempt."""

    wait: timedelta
    """How long it must wait instead; then nothing was counted. Zero: it may be tried."""
    before: Mapping[str, datetime]
    """By subject: the time of the failure before."""


class Failures(Protocol):
    """Where failures are counted, for all processes."""

    async def take(self, slots: list[Slot], now: datetime) -> Taken:
        """Counts an attempt as failed in every slot, in one step, before it is looked at."""
        ...

    async def give_back(self, subject: str, time: datetime, before: datetime) -> None:
        """Counts an attempt of this time no longer; `before` is that of the failure before."""
        ...

    async def clear(self, subject: str) -> None:
        """Forgets the failures of a subject."""
        ...


@dataclass(frozen=True)
class Turn:
    """An attempt that may be tried, and counts as failed until more is known."""

    user: str
    """As whose failures it counts; empty: nobody's."""
    address: str
    time: datetime
    taken: Taken


class Throttle:
    """Lets attempts pass, or tells them to wait."""

    def __init__(self, failures: Failures, clock: Clock) -> None:
        self._failures = failures
        self._clock = clock

    async def begin(self, user: str, address: str) -> Turn:
        """Before an attempt for a user, whether or not there is one; an empty one counts nothing.

        Raises ApiError(RATE_LIMITED), the same for known and unknown users.
        """
        now = self._clock()
        slots = [Slot(_subject_of_address(address), ADDRESS)]
        if user:
            slots.append(Slot(_subject_of_user(user), USER))
        taken = await self._failures.take(slots, now)
        if taken.wait:
            seconds = taken.wait.total_seconds()
            raise ApiError(
                Reason.RATE_LIMITED,
                f"Too many attempts failed. Try again in {math.ceil(seconds)} s.",
                retry_after_seconds=seconds,
            )
        return Turn(user, address, now, taken)

    async def succeeded(self, turn: Turn) -> None:
        """After an attempt that was right: the user's failures are forgotten, the address's not."""
        if turn.user:
            await self._failures.clear(_subject_of_user(turn.user))
        await self.excuse(turn)

    async def excuse(self, turn: Turn) -> None:
        """After an attempt that was no wrong guess: it does not count against the address.

        Many people share one, and their signing in must not shut the others out. The user's
        failures stay as they are: half of what signing in takes does not earn their forgetting.
        """
        subject = _subject_of_address(turn.address)
        await self._failures.give_back(subject, turn.time, turn.taken.before[subject])


def _subject_of_user(user: str) -> str:
    return f"user:{user.lower()}"


def _subject_of_address(address: str) -> str:
    return f"address:{neighbourhood(address)}"
