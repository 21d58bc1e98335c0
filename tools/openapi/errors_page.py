"""docs/errors.md: every reason that an error can have, from its proto."""

from collections import defaultdict
from collections.abc import Iterator
from http import HTTPStatus

from f2h.access.v1 import reason_pb2
from f2h.access.v1.reason_pb2 import Reason
from google.protobuf import descriptor_pb2
from google.rpc import code_pb2

from services.runtime import reasons
from services.runtime.access import Audience
from tools.contract import rpcs
from tools.openapi.errors import http_status, info, meaning
from tools.openapi.source import Source

_ABOUT = """\
# Errors

Every error is a [google.rpc.Status](https://google.aip.dev/193), over REST as JSON and over gRPC
in `grpc-status-details-bin`. Each has the detail google.rpc.ErrorInfo with the domain `f2hcloud`: a
program decides by its `reason`, which is one of these, and never by the message. Where asking again
helps, the detail google.rpc.RetryInfo and the header `Retry-After` say when; the detail
google.rpc.BadRequest names each field that breaks a rule.

```json
{{
  "code": {code},
  "message": "ns3070587.ip-149-202-215.eu is held by another operation.",
  "details": [
    {{
      "@type": "type.googleapis.com/google.rpc.ErrorInfo",
      "reason": "SERVER_BUSY",
      "domain": "f2hcloud",
      "metadata": {{"server": "ns3070587.ip-149-202-215.eu", "operation": "operations/6b1c7f0e-…"}}
    }},
    {{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retry_delay": "5s"}}
  ]
}}
```

This page is made from [reason.proto](../protos/f2h/access/v1/reason.proto) and the protos of the
calls: `make golden`."""

_LISTED = 16
"""So many calls are listed; of more, how many there are."""

_INWARD = frozenset({Audience.SERVICE, Audience.FORWARDED})
"""Who calls past the edge: our own services."""


class _Calls:
    """Which RPCs are answered with which reasons."""

    def __init__(self, image: descriptor_pb2.FileDescriptorSet) -> None:
        self._answers: dict[int, list[str]] = defaultdict(list)
        self._ends: dict[int, list[str]] = defaultdict(list)
        self._all = 0
        for rpc in rpcs(image):
            if rpc.rule is None or _INWARD.issuperset(rpc.rule.audiences):
                continue
            self._all += 1
            for reason in reasons.expected(rpc.path) or ():
                self._answers[reason].append(rpc.method.name)
            for reason in rpc.method.options.Extensions[reason_pb2.fails_with].operation:
                self._ends[reason].append(rpc.method.name)

    def answered(self, reason: int) -> str:
        """The calls that are answered with it, in words."""
        names = self._answers[reason]
        if len(names) == self._all:
            return "every call"
        if names and names == self._answers[Reason.CREDENTIAL_MISSING]:
            return "every call that needs a credential"
        if len(names) > _LISTED:
            return f"{len(names)} of {self._all} calls: those that name it in the OpenAPI document"
        return _listed(names) or "none of its own"

    def ended(self, reason: int) -> str:
        """The calls that begin operations that end with it; empty: none does."""
        return _listed(self._ends[reason])


def page(image: descriptor_pb2.FileDescriptorSet) -> str:
    """The page, in Markdown."""
    source, calls = Source(image), _Calls(image)
    sections = [
        "\n".join(_section(source, value.name, calls))
        for value in Reason.DESCRIPTOR.values
        if value.number != Reason.REASON_UNSPECIFIED
    ]
    return "\n\n".join([_ABOUT.format(code=code_pb2.ABORTED), *sections]) + "\n"


def _section(source: Source, name: str, calls: _Calls) -> Iterator[str]:
    reason = Reason.Value(name)
    said, status = info(reason), http_status(source, reason)
    retry = reason_pb2.ReasonInfo.Retry.Name(said.retry)
    yield from (f"## {name}", "", meaning(source, name), "", "| | |", "|---|---|")
    yield f"| HTTP status | {status} {HTTPStatus(status).phrase} |"
    yield f"| gRPC code | {code_pb2.Code.Name(said.code)} |"
    if said.metadata:
        pairs = [f"`{key}`: `{said.metadata[key]}`" for key in sorted(said.metadata)]
        yield f"| metadata | {', '.join(pairs)} |"
    yield f"| ask again | {source.comment(f'f2h.access.v1.ReasonInfo.Retry.{retry}')} |"
    yield f"| calls | {calls.answered(reason)} |"
    if ended := calls.ended(reason):
        yield f"| ends operations of | {ended} |"


def _listed(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
