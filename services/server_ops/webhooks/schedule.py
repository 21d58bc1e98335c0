"""When a message is sent, and sent again: the schedule that Standard Webhooks 1.0 recommends."""

from datetime import timedelta

SCHEDULE = (
    timedelta(),
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
)
"""How long to wait before each attempt, since the one before it."""

JITTER = 0.1
"""By how much of itself a delay may be longer: what failed together is not sent together again."""


def delay(attempts: int, fraction: float) -> timedelta | None:
    """How long to wait after so many failed attempts; None: there is no further attempt.

    `fraction` is random, from 0 to 1.
    """
    if attempts >= len(SCHEDULE):
        return None
    return SCHEDULE[attempts] * (1 + JITTER * fraction)
