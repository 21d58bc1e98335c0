"""How long an address stays blocked at least."""

from datetime import timedelta

from services.security.antispam.block import Wait

MOST_DOUBLINGS = 40
"""Beyond the longest wait that can be set."""


def doubling(first: timedelta, longest: timedelta) -> Wait:
    """The first wait, doubled by each block before, up to the longest."""

    def wait(before: int) -> timedelta:
        times = 1 << min(before, MOST_DOUBLINGS)
        return longest if first > longest / times else min(first * times, longest)

    return wait
