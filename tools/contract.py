"""What the protos must say and buf cannot check: access rules, comments, REST forms."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from f2h.access.v1 import reason_pb2, rule_pb2
from f2h.access.v1.reason_pb2 import Reason
from google.api import annotations_pb2
from google.longrunning import operations_pb2
from google.protobuf import descriptor_pb2

from services.runtime import reasons

PACKAGE = "f2h."

Audience = rule_pb2.AccessRule.Audience

LISTENERS: Mapping[str, frozenset[int]] = {
    "public": frozenset({Audience.PUBLIC, Audience.CUSTOMER, Audience.SESSION}),
    "internal": frozenset({Audience.PUBLIC, Audience.NOC, Audience.STAFF}),
}
"""The audiences that a listener of the edge is for."""


_PLAIN = {
    descriptor_pb2.FieldDescriptorProto.TYPE_STRING,
    descriptor_pb2.FieldDescriptorProto.TYPE_ENUM,
    descriptor_pb2.FieldDescriptorProto.TYPE_BOOL,
    descriptor_pb2.FieldDescriptorProto.TYPE_INT32,
}
"""What can be written into the audit trail as a text."""


@dataclass(frozen=True)
class Rpc:
    """One RPC of ours, with what its options say."""

    path: str
    """As gRPC calls it: "/package.Service/Method"."""
    service: str
    request: descriptor_pb2.DescriptorProto
    method: descriptor_pb2.MethodDescriptorProto
    rule: rule_pb2.AccessRule | None
    http: tuple[str, str] | None
    """Verb and path template of its REST form."""
    comment: str


def rpcs(image: descriptor_pb2.FileDescriptorSet) -> Iterator[Rpc]:
    """Every RPC of our packages in `image`, a descriptor set with source info."""
    messages = {
        f".{file.package}.{message.name}": message
        for file in image.file
        for message in file.message_type
    }
    for file in image.file:
        if not file.package.startswith(PACKAGE):
            continue
        comments = {tuple(at.path): at.leading_comments for at in file.source_code_info.location}
        for s, service in enumerate(file.service):
            name = f"{file.package}.{service.name}"
            for m, method in enumerate(service.method):
                options = method.options
                has_rule = options.HasExtension(rule_pb2.rule)
                yield Rpc(
                    path=f"/{name}/{method.name}",
                    service=name,
                    request=messages.get(method.input_type, descriptor_pb2.DescriptorProto()),
                    method=method,
                    rule=options.Extensions[rule_pb2.rule] if has_rule else None,
                    # 6 and 2: `service` of a file and `method` of a service in descriptor.proto
                    comment=comments.get((6, s, 2, m), "").strip(),
                    http=_http(options),
                )


def passes(rpc: Rpc, listener: str) -> bool:
    """Whether this listener of the edge, a name in LISTENERS, answers the RPC."""
    return bool(rpc.rule and LISTENERS[listener].intersection(rpc.rule.audiences))


def faults(image: descriptor_pb2.FileDescriptorSet) -> list[str]:
    """What is wrong with the contract, a sentence each; empty when nothing is."""
    return [
        f"{rpc.path} {fault}" for rpc in rpcs(image) for fault in (*_faults(rpc), *_not_plain(rpc))
    ]


def _faults(rpc: Rpc) -> Iterator[str]:
    if not rpc.comment:
        yield "has no comment: say what happens to the user"
    if rpc.http is None and not rpc.method.client_streaming:
        yield "has no google.api.http: say its REST form"
    if rpc.rule is None:
        yield "has no access rule: add option (f2h.access.v1.rule)"
        return
    rule = rpc.rule
    if not rule.audiences or Audience.AUDIENCE_UNSPECIFIED in rule.audiences:
        yield "has an access rule without an audience"
    if Audience.CUSTOMER in rule.audiences and not (rule.capability or rule.any_key):
        yield "lets API keys call without a capability"
    if {Audience.SESSION, Audience.STAFF} & {*rule.audiences} and not rule.role:
        yield "lets signed-in people call without a role"
    named = rule.WhichOneof("resource")
    options = rpc.method.options
    for reason in sorted(reasons.derived(options) & reasons.declared(options)):
        yield f"says that it fails with {Reason.Name(reason)}, which follows from its rule"
    ends = bool(options.Extensions[reason_pb2.fails_with].operation)
    if ends != options.HasExtension(operations_pb2.operation_info):
        yield "must say both what its operation ends with and what that fails with, or neither"
    if named and getattr(rule, named) not in {field.name for field in rpc.request.field}:
        yield f"has {named} = {getattr(rule, named)!r}, which its request does not have"


def _not_plain(rpc: Rpc) -> Iterator[str]:
    for field in rpc.request.field:
        plain = field.type in _PLAIN or field.type_name == ".google.protobuf.Timestamp"
        if field.options.Extensions[rule_pb2.recorded] and not plain:
            yield f"has {field.name} recorded, which is no plain value"


def _http(options: descriptor_pb2.MethodOptions) -> tuple[str, str] | None:
    if not options.HasExtension(annotations_pb2.http):
        return None
    http = options.Extensions[annotations_pb2.http]
    verb = http.WhichOneof("pattern")
    return (verb.upper(), getattr(http, verb)) if verb else None
