"""How BMCs are treated."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """How BMCs are treated; times in seconds."""

    workers: int = 2
    """Processes that talk to BMCs; each BMC belongs to one of them."""
    idle_seconds: float = 20.0
    """A session that rests so long is given back. BMCs forget one after 60 s (section 6.12.15)."""
    spacing_seconds: float = 0.1
    """Between two calls to one BMC."""
    queue: int = 32
    """Calls that may wait for one BMC; one more is refused."""
    failures: int = 3
    """After so many failed calls in a row a BMC is left alone for a while."""
    back_off_seconds: float = 2.0
    """For how long, the first time; each failed try doubles it."""
    back_off_seconds_max: float = 60.0
    power_seconds: float = 5.0
    observe_seconds: float = 15.0
    read_seconds: float = 60.0
    """For sensors and events, once it was seen to answer: a slow BMC has hundreds of records."""
    login_seconds: float = 10.0
    """What sending may take before the command leaves, and what a test may take in all."""
    answer_seconds: float = 5.0
    """How long the answer to a command is waited for."""
