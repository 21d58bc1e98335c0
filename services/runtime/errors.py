"""The one family of errors. Its reasons are documented in protos/f2h/access/v1/reason.proto."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from f2h.access.v1.reason_pb2 import Reason
from google.protobuf import any_pb2, duration_pb2
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2

DOMAIN = "f2hcloud"

_CODES: Mapping["Reason.ValueType", int] = {
    Reason.CREDENTIAL_MISSING: code_pb2.UNAUTHENTICATED,
    Reason.CREDENTIAL_INVALID: code_pb2.UNAUTHENTICATED,
    Reason.KEY_REVOKED: code_pb2.UNAUTHENTICATED,
    Reason.KEY_EXPIRED: code_pb2.UNAUTHENTICATED,
    Reason.PRINCIPAL_INVALID: code_pb2.UNAUTHENTICATED,
    Reason.ADDRESS_NOT_ALLOWED: code_pb2.PERMISSION_DENIED,
    Reason.CAPABILITY_MISSING: code_pb2.PERMISSION_DENIED,
    Reason.SERVER_NOT_GRANTED: code_pb2.PERMISSION_DENIED,
    Reason.AUDIENCE_NOT_ALLOWED: code_pb2.PERMISSION_DENIED,
    Reason.INVALID_REQUEST: code_pb2.INVALID_ARGUMENT,
    Reason.NOT_FOUND: code_pb2.NOT_FOUND,
    Reason.ALREADY_EXISTS: code_pb2.ALREADY_EXISTS,
    Reason.SERVER_BUSY: code_pb2.ABORTED,
    Reason.REQUEST_ID_REUSED: code_pb2.ALREADY_EXISTS,
    Reason.NOT_IMPLEMENTED: code_pb2.UNIMPLEMENTED,
    Reason.DEPENDENCY_UNAVAILABLE: code_pb2.UNAVAILABLE,
    Reason.DEADLINE_EXCEEDED: code_pb2.DEADLINE_EXCEEDED,
    Reason.INTERNAL: code_pb2.INTERNAL,
    Reason.BMC_UNREACHABLE: code_pb2.UNAVAILABLE,
    Reason.BMC_AUTH_FAILED: code_pb2.FAILED_PRECONDITION,
    Reason.BMC_REFUSED: code_pb2.FAILED_PRECONDITION,
    Reason.SERVER_POWERED_OFF: code_pb2.FAILED_PRECONDITION,
    Reason.OUTCOME_UNKNOWN: code_pb2.UNKNOWN,
    Reason.REQUEST_TOO_LARGE: code_pb2.RESOURCE_EXHAUSTED,
    Reason.OVERLOADED: code_pb2.RESOURCE_EXHAUSTED,
    Reason.RATE_LIMITED: code_pb2.RESOURCE_EXHAUSTED,
    Reason.SESSION_INVALID: code_pb2.UNAUTHENTICATED,
    Reason.ROLE_MISSING: code_pb2.PERMISSION_DENIED,
    Reason.ORIGIN_NOT_ALLOWED: code_pb2.PERMISSION_DENIED,
    Reason.SIGN_IN_FAILED: code_pb2.UNAUTHENTICATED,
    Reason.SECOND_FACTOR_REQUIRED: code_pb2.UNAUTHENTICATED,
    Reason.KEY_NOT_ACTIVE: code_pb2.FAILED_PRECONDITION,
    Reason.NOT_SET_UP: code_pb2.FAILED_PRECONDITION,
    Reason.SHUTDOWN_NOT_SEEN: code_pb2.DEADLINE_EXCEEDED,
    Reason.NOT_CANCELLABLE: code_pb2.FAILED_PRECONDITION,
    Reason.CONSOLE_TAKEN: code_pb2.ABORTED,
    Reason.BMC_UNSUPPORTED: code_pb2.FAILED_PRECONDITION,
    Reason.EVENT_LOG_ERASED: code_pb2.ABORTED,
    Reason.BOOT_TOKEN_USED: code_pb2.UNAUTHENTICATED,
    Reason.IMAGE_DAMAGED: code_pb2.FAILED_PRECONDITION,
    Reason.RESCUE_ACTIVE: code_pb2.FAILED_PRECONDITION,
    Reason.RESCUE_NOT_ACTIVE: code_pb2.FAILED_PRECONDITION,
    Reason.BOOT_NOT_SEEN: code_pb2.DEADLINE_EXCEEDED,
    Reason.WRONG_SYSTEM: code_pb2.FAILED_PRECONDITION,
    Reason.INSTALL_FAILED: code_pb2.ABORTED,
    Reason.IP_NOT_MOVABLE: code_pb2.FAILED_PRECONDITION,
    Reason.IP_ALREADY_THERE: code_pb2.FAILED_PRECONDITION,
    Reason.IP_BUSY: code_pb2.ABORTED,
    Reason.ROUTER_FAILED: code_pb2.UNAVAILABLE,
    Reason.DNS_REFUSED: code_pb2.FAILED_PRECONDITION,
    Reason.FORWARD_NOT_CONFIRMED: code_pb2.FAILED_PRECONDITION,
    Reason.IP_NOT_BLOCKED: code_pb2.FAILED_PRECONDITION,
    Reason.UNBLOCK_TOO_EARLY: code_pb2.FAILED_PRECONDITION,
    Reason.IP_LISTED: code_pb2.FAILED_PRECONDITION,
    Reason.MAIL_GATE_FAILED: code_pb2.UNAVAILABLE,
    Reason.GATEWAY_UNAVAILABLE: code_pb2.UNAVAILABLE,
}
"""The google.rpc.Code that each reason travels with."""


@dataclass(frozen=True)
class Violation:
    """A field that breaks a rule, and what would be right."""

    field: str
    description: str


class ApiError(Exception):
    """A refusal or failure that the caller is told of.

    The message is for a person; the reason and the metadata are for a program. Neither ever holds
    a secret or the text of a driver.
    """

    def __init__(
        self,
        reason: "Reason.ValueType",
        message: str,
        *,
        metadata: Mapping[str, str] | None = None,
        violations: Sequence[Violation] = (),
        retry_after_seconds: float | None = None,
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.metadata = dict(metadata or {})
        self.violations = tuple(violations)
        self.retry_after_seconds = retry_after_seconds

    def status(self, request_id: str = "") -> status_pb2.Status:
        """This error as the google.rpc.Status that REST and gRPC callers get.

        With the id of the request that it answers, if it answers one.
        """
        info = error_details_pb2.ErrorInfo(
            reason=Reason.Name(self.reason), domain=DOMAIN, metadata=self.metadata
        )
        details: list[Message] = [info]
        if self.violations:
            details.append(
                error_details_pb2.BadRequest(
                    field_violations=[
                        error_details_pb2.BadRequest.FieldViolation(
                            field=violation.field, description=violation.description
                        )
                        for violation in self.violations
                    ]
                )
            )
        if self.retry_after_seconds is not None:
            delay = duration_pb2.Duration()
            delay.FromMilliseconds(round(self.retry_after_seconds * 1000))
            details.append(error_details_pb2.RetryInfo(retry_delay=delay))
        if request_id:
            details.append(error_details_pb2.RequestInfo(request_id=request_id))
        return status_pb2.Status(
            code=_CODES[self.reason], message=self.message, details=[_pack(d) for d in details]
        )


def retry_after(error: ApiError) -> tuple[tuple[str, str], ...]:
    """The header Retry-After (RFC 9110, section 10.2.3), in whole seconds, for who speaks REST."""
    if error.retry_after_seconds is None:
        return ()
    return (("retry-after", str(max(math.ceil(error.retry_after_seconds), 1))),)


def invalid(field: str, description: str) -> ApiError:
    """INVALID_REQUEST for one field."""
    violation = Violation(field, description)
    return ApiError(Reason.INVALID_REQUEST, f"{field}: {description}", violations=[violation])


def _pack(message: Message) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(message)
    return packed
