"""The stages of reaching a BMC, each timed."""

import time
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


_WRONG = {
    Stage.PING: "the BMC does not answer",
    Stage.SESSION: "the BMC answers and gives no session",
    Stage.PASSWORD: "the BMC does not take the login to its end",
}


def stages(reached: dict[Stage, float], begin: float, *, wrong: bool) -> tuple[StageResult, ...]:
    """The results of stages that began at `begin` and of which these were `reached`, when.

    Both by the monotonic clock. `wrong`: the user name or the password was refused.
    """
    results = []
    failed = False
    for stage in Stage:
        if failed:
            results.append(StageResult(stage, Result.SKIPPED, 0.0))
            continue
        at = reached.get(stage)
        failed = at is None
        end = time.monotonic() if at is None else at
        refused = failed and wrong and stage is not Stage.PING
        detail = ("the BMC refuses the login" if refused else _WRONG[stage]) if failed else ""
        result = Result.FAILED if failed else Result.PASSED
        results.append(StageResult(stage, result, end - begin, detail, wrong=refused))
        begin = end
    return tuple(results)
