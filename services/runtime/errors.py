"""The one family of errors. Its reasons are documented in protos/f2h/access/v1/reason.proto."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from f2h.access.v1 import reason_pb2
from f2h.access.v1.reason_pb2 import Reason
from google.protobuf import any_pb2, duration_pb2
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

DOMAIN = "f2hcloud"

_CODES: Mapping[int, int] = {
    value.number: value.GetOptions().Extensions[reason_pb2.info].code
    for value in Reason.DESCRIPTOR.values
    if value.number != Reason.REASON_UNSPECIFIED
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
