"""The answers of calls that fail: an HTTP status each, with the reasons that it has."""

import re
from collections import defaultdict
from collections.abc import Iterable
from http import HTTPStatus

from f2h.access.v1 import reason_pb2
from f2h.access.v1.reason_pb2 import Reason
from google.rpc import code_pb2

from tools.openapi.source import Json, Source

_MAPPING = re.compile(r"HTTP Mapping: (\d{3})")


class Failures:
    """Makes the responses of failures, and keeps them: many calls fail alike."""

    def __init__(self, source: Source, status: Json) -> None:
        """`status` refers to the schema of google.rpc.Status."""
        self._source = source
        self._status = status
        self.responses: dict[str, Json] = {}
        """What was referred to, by name."""

    def of(self, reasons: "Iterable[Reason.ValueType]") -> dict[str, Json]:
        """References to the responses of a call with these reasons, by HTTP status."""
        by_status: dict[int, list[Reason.ValueType]] = defaultdict(list)
        for reason in sorted(reasons):
            by_status[http_status(self._source, reason)].append(reason)
        return {
            str(status): self._response(status, by_status[status]) for status in sorted(by_status)
        }

    def _response(self, status: int, reasons: "list[Reason.ValueType]") -> Json:
        names = [Reason.Name(reason) for reason in reasons]
        name = ".".join([str(status), *names])
        if name not in self.responses:
            self.responses[name] = self._made(status, reasons, names)
        return {"$ref": f"#/components/responses/{name}"}

    def _made(self, status: int, reasons: "list[Reason.ValueType]", names: list[str]) -> Json:
        lines = [f"- `{name}`: {meaning(self._source, name)}" for name in names]
        of_reason = {"properties": {"reason": {"enum": names}}, "required": ["reason"]}
        response: Json = {
            "description": "\n".join(
                [f"{HTTPStatus(status).phrase}. The reason is one of:", "", *lines]
            ),
            "content": {
                "application/json": {
                    # Who does not know what stands beside a $ref still has the Status.
                    "schema": self._status | {"properties": {"details": {"contains": of_reason}}}
                }
            },
        }
        later = any(info(reason).retry == reason_pb2.ReasonInfo.LATER for reason in reasons)
        if later:
            response["headers"] = {"Retry-After": {"$ref": "#/components/headers/Retry-After"}}
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            response["headers"] |= rate_limit_headers()
        return response


def info(reason: "Reason.ValueType") -> reason_pb2.ReasonInfo:
    """What a program has to know of a reason."""
    value = Reason.DESCRIPTOR.values_by_number[reason]
    found: reason_pb2.ReasonInfo = value.GetOptions().Extensions[reason_pb2.info]
    return found


def meaning(source: Source, name: str) -> str:
    """What a reason means, from its comment."""
    return source.comment(f"{Reason.DESCRIPTOR.full_name}.{name}")


def http_status(source: Source, reason: "Reason.ValueType") -> int:
    """The HTTP status of a reason: its own, or the one that google.rpc.Code documents."""
    said = info(reason)
    if said.http_status:
        return said.http_status
    code = code_pb2.Code.Name(said.code)
    documented = _MAPPING.search(source.comment(f"google.rpc.Code.{code}"))
    if documented is None:
        raise ValueError(f"google.rpc.Code.{code} has no HTTP status in its comment")
    return int(documented[1])


def rate_limit_headers() -> Json:
    """References to the headers that tell how much may be asked for."""
    names = ("x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset")
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}
