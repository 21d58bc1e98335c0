"""What a caller is told when a BMC does not do what was asked."""

from collections.abc import Mapping

from f2h.access.v1.reason_pb2 import Reason

from services.runtime.errors import ApiError
from services.server_ops.bmc.errors import (
    BmcAuthFailed,
    BmcError,
    BmcUnreachable,
    BmcUnsupported,
    ConsoleTaken,
    LogErased,
    Trouble,
)

RETRY_SECONDS = 5.0

_UNREACHABLE = {
    Trouble.NO_ANSWER: "does not answer",
    Trouble.NO_FREE_SESSION: "has no session left; it frees them after a minute",
    Trouble.BACKING_OFF: "did not answer several times in a row and is left alone for a while",
    Trouble.OWNED_ELSEWHERE: "is in use, for instance by a serial console",
    Trouble.TOO_MANY_CALLS: "has too many calls waiting for it",
}


_OTHERS: Mapping[type[BmcError], tuple["Reason.ValueType", str]] = {
    BmcAuthFailed: (Reason.BMC_AUTH_FAILED, "refuses our login; the NOC has to change it"),
    BmcUnsupported: (Reason.BMC_UNSUPPORTED, "does not have what was asked for"),
    ConsoleTaken: (Reason.CONSOLE_TAKEN, "has its serial console attached already"),
    LogErased: (
        Reason.EVENT_LOG_ERASED,
        "has had its event log erased since the page before; begin again, without page_token",
    ),
}


def refusal(hostname: str, error: BmcError) -> ApiError:
    """The refusal of a call to the BMC of a server."""
    if not isinstance(error, BmcUnreachable):
        reason, says = _OTHERS.get(type(error), (Reason.BMC_REFUSED, "refused"))
        return ApiError(reason, f"The BMC of {hostname} {says}.", metadata={"server": hostname})
    overloaded = error.trouble in {Trouble.TOO_MANY_CALLS, Trouble.OWNED_ELSEWHERE}
    return ApiError(
        Reason.OVERLOADED if overloaded else Reason.BMC_UNREACHABLE,
        f"The BMC of {hostname} {_UNREACHABLE[error.trouble]}.",
        retry_after_seconds=error.retry_after_seconds or RETRY_SECONDS,
    )
