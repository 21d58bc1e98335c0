"""The stages of reaching a BMC, each timed."""

from dataclasses import dataclass
from enum import StrEnum


class Stage(StrEnum):
    """One stage of reaching a BMC, in order."""

    PING = "PING"
    """It answers at all: Get Channel Authentication Capabilities, IPMI 2.0 section 22.13, or the
    Redfish service root."""
    SESSION = "SESSION"
    """It has a session for us: RMCP+ Open Session, section 13.17."""
    PASSWORD = "PASSWORD"  # noqa: S105 - no password
    """It takes our user name and password: RAKP, section 13.20."""


class Result(StrEnum):
    """How a stage ended."""

    PASSED = "PASSED"
    FAILED = "FAILED"
    SKIPPED = "SKIPPED"
    """A stage before it failed, or it must not be tried."""


@dataclass(frozen=True)
class StageResult:
    """How a stage ended, and how long it took."""

    stage: Stage
    result: Result
    seconds: float
    """Of this stage alone."""
    detail: str = ""
    """What went wrong, in our words."""
    wrong: bool = False
    """Whether the BMC refused the user name or the password."""
