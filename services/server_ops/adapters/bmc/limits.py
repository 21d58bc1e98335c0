"""How BMCs are treated."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """How BMCs are treated; times in seconds."""

    workers: int = 32
    """BMCs that are talked to at once; the next one waits."""
    idle_seconds: float = 20.0
    """A session that rests so long is given back. BMCs forget one after 60 s (section 6.12.15)."""
    spacing_seconds: float = 0.1
    """Between two calls to one BMC."""
    observe_seconds: float = 15.0
    login_seconds: float = 10.0
    """What sending may take before the command leaves."""
    answer_seconds: float = 5.0
    """How long the answer to a command is waited for."""
