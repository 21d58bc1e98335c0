"""The errors that Envoy itself makes, in the form of all our errors.

edge/envoy.yaml says each in a few words, among the mappers of local_reply_config; Envoy wants two
mappers, since native gRPC and REST are told in different ways, and one where only REST meets it.
"""

import base64
from dataclasses import dataclass
from typing import Any

from f2h.access.v1 import reason_pb2
from google.protobuf import json_format
from google.rpc import error_details_pb2, status_pb2

_REASONS = reason_pb2.Reason.DESCRIPTOR.values_by_name
_NATIVE = (
    "'content-type' in request.headers"
    " && request.headers['content-type'].startsWith('application/grpc')"
    " && !('x-envoy-original-path' in request.headers)"
)
"""That the caller speaks gRPC: so does REST once it was transcoded, but with that header."""

Mapper = dict[str, Any]


@dataclass(frozen=True)
class LocalReply:
    """An error in the place of an answer that Envoy itself makes, as edge/envoy.yaml has it."""

    when: str
    """Of which answers, in CEL."""
    reason: str
    """One of f2h/access/v1/reason.proto, which says its gRPC code too."""
    message: str = ""
    """For whoever calls; empty: native gRPC does not meet it."""
    rest_message: str = ""
    """For REST, where it can say more: %LOCAL_REPLY_BODY% is what Envoy would have said."""
    status: int = 0
    """Of HTTP, where it is another than Envoy's own."""
    retry_seconds: int = 0
    """After how long to ask again; 0: not said."""

    def __post_init__(self) -> None:
        if not (self.message or self.rest_message):
            raise TypeError(f"{self.reason} has no message")

    def mappers(self) -> list[Mapper]:
        """What Envoy makes of it for native gRPC, if that meets it, and then for REST."""
        native = self._mapper(f"({self.when}) && {_NATIVE}", self._native())
        rest = self._mapper(self.when, self._rest())
        return [native, rest] if self.message else [rest]

    def _mapper(self, expression: str, answer: Mapper) -> Mapper:
        status = {"status_code": self.status} if self.status else {}
        return {"filter": when(expression), **status, **answer}

    def _native(self) -> Mapper:
        # What is fixed cannot name the request: its id stands in x-request-id.
        status = self._status()
        details = base64.b64encode(status.SerializeToString()).decode().rstrip("=")
        headers = {"grpc-status": str(status.code), "grpc-status-details-bin": details}
        return {
            "headers_to_add": [
                {
                    "header": {"key": key, "value": value},
                    "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
                }
                for key, value in headers.items()
            ],
            "body_format_override": {"text_format_source": {"inline_string": self.message}},
        }

    def _rest(self) -> Mapper:
        status = json_format.MessageToDict(self._status(), preserving_proto_field_name=True)
        request = {
            "@type": "type.googleapis.com/google.rpc.RequestInfo",
            "request_id": "%REQ(X-REQUEST-ID)%",
        }
        said = {"message": self.rest_message or self.message}
        told = {**status, **said, "details": [*status["details"], request]}
        return {"body_format_override": {"omit_empty_values": True, "json_format": told}}

    def _status(self) -> status_pb2.Status:
        code = _REASONS[self.reason].GetOptions().Extensions[reason_pb2.info].code
        status = status_pb2.Status(code=code, message=self.message)
        status.details.add().Pack(
            error_details_pb2.ErrorInfo(reason=self.reason, domain="f2hcloud")
        )
        if self.retry_seconds:
            retry = error_details_pb2.RetryInfo()
            retry.retry_delay.FromSeconds(self.retry_seconds)
            status.details.add().Pack(retry)
        return status


def written(mappers: list[Mapper]) -> list[Mapper]:
    """The same mappers, with Envoy's own in the place of each `error`.

    Raises KeyError for a reason that is not documented, TypeError for a field that is none, or for
    want of a message.
    """
    return [
        made
        for each in mappers
        for made in (LocalReply(**each["error"]).mappers() if "error" in each else [each])
    ]


def when(expression: str) -> Mapper:
    """The filter of a mapper for what this expression says, in CEL."""
    kind = "type.googleapis.com/envoy.extensions.access_loggers.filters.cel.v3.ExpressionFilter"
    return {
        "extension_filter": {
            "name": "envoy.access_loggers.extension_filters.cel",
            "typed_config": {"@type": kind, "expression": expression},
        }
    }
