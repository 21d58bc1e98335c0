"""What customers may call as tools of AI agents: the Model Context Protocol, revision 2025-11-25.

A tool is an RPC that an API key may call, that has a REST form, and that is no stream. What any key
may do and acts on nothing is about the key itself, and not for an agent: a token, this very list.
"""

import json
import re
from collections.abc import Iterator

from f2h.access.v1 import effect_pb2
from google.protobuf import descriptor, descriptor_pb2

from services.runtime.access import Audience, Rule, rule_of
from tools.contract import Rpc, rpcs
from tools.openapi import access
from tools.openapi.document import readers
from tools.openapi.operation import Form, form, results
from tools.openapi.schema import schema_of
from tools.openapi.source import Json, Source, first_sentence

_KEYS = access.Listener({Audience.CUSTOMER: access.PUBLIC.schemes[Audience.CUSTOMER]}, {})
"""Whose tools these are."""

_PAGE = """\
<!-- Made from the protos by `make golden`. -->

# Tools of AI agents

What [MCP clients](mcp.md) are offered, each for a key that holds the capability.

| tool | needs | what it does | what it loses |
|---|---|---|---|
"""


def written(image: descriptor_pb2.FileDescriptorSet) -> str:
    """The tools as a file has them, for auth, which lists them, and the edge, which calls them.

    A list of {rpc, http_rule, definition}: how gRPC calls it, how REST does in the words of
    google.api.http, and a Tool of the protocol. Raises ValueError when two have one name.
    """
    return json.dumps(tools(image), indent=1, ensure_ascii=False) + "\n"


def page(image: descriptor_pb2.FileDescriptorSet) -> str:
    """The tools as docs/mcp-tools.md has them: their names are what agents are set up with."""
    source = Source(image)
    rows = []
    for each in tools(image):
        method = source.method(each["rpc"])
        rule = rule_of(method)
        said = first_sentence(source.comment(method.full_name))
        loses = method.GetOptions().Extensions[effect_pb2.loses]
        needs = f"`{rule.capability}`" if rule.capability else "any key"
        rows.append(f"| `{each['definition']['name']}` | {needs} | {said}. | {loses} |")
    return _PAGE + "\n".join(rows) + "\n"


def tools(image: descriptor_pb2.FileDescriptorSet) -> list[Json]:
    """The tools, in the order of the contract. Raises ValueError when two have one name."""
    source = Source(image)
    called = [each for each in rpcs(image) if each.http]
    ends, _ = results(source, called)
    found = readers(source, called)
    made = []
    for rpc in called:
        method = source.method(rpc.path)
        if _is_tool(rpc, rule_of(method)):
            reader = found[method.containing_service.file.package] if rpc.path in ends else ""
            made.append(_tool(source, rpc, reader))
    names = [each["definition"]["name"] for each in made]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"tools of one name: {', '.join(twice)}")
    return made


def _is_tool(rpc: Rpc, rule: Rule) -> bool:
    about_the_key = rule.any_key and not rule.resource_field
    return Audience.CUSTOMER in rule.audiences and not (
        about_the_key or rpc.method.server_streaming or rpc.method.client_streaming
    )


def _tool(source: Source, rpc: Rpc, reader: str) -> Json:
    method = source.method(rpc.path)
    called = form(method)
    rule: Json = {called.verb: rpc.http[1] if rpc.http else ""}
    if called.has_body:
        rule["body"] = "*"
    return {
        "rpc": rpc.path,
        "http_rule": rule,
        "definition": {
            "name": _snake(method.name),
            "title": " ".join(_words(method.name)).capitalize(),
            "description": "\n\n".join(_description(source, method, reader)),
            "inputSchema": _input(source, method, called),
            "annotations": _annotations(method, called),
        },
    }


def _description(source: Source, method: descriptor.MethodDescriptor, reader: str) -> Iterator[str]:
    yield source.comment(method.full_name)
    if loses := method.GetOptions().Extensions[effect_pb2.loses]:
        yield f"DESTRUCTIVE. This loses {loses}. Ask the user first."
    if reader:
        yield (
            f"Ask `{_snake(reader)}` with the id, which is what follows the last `/` in `name`, "
            "until `done` is true: only then has it succeeded, or failed with `error`."
        )
    yield from access.demands(_KEYS, rule_of(method))[0]


def _input(source: Source, method: descriptor.MethodDescriptor, called: Form) -> Json:
    schema = schema_of(method.input_type, source)
    required = [*called.in_path, *schema.get("required", [])]
    if required:
        schema["required"] = [*dict.fromkeys(required)]
    return {**schema, "additionalProperties": False}


def _annotations(method: descriptor.MethodDescriptor, called: Form) -> Json:
    """ToolAnnotations: what a client may do without asking its user."""
    return {
        "readOnlyHint": called.verb == "get",
        "destructiveHint": bool(method.GetOptions().Extensions[effect_pb2.loses]),
        # RFC 9110, section 9.2.2
        "idempotentHint": called.verb in {"get", "put", "delete"},
        "openWorldHint": False,
    }


def _words(name: str) -> list[str]:
    return [word.lower() for word in re.findall(r"[A-Z][a-z0-9]*", name)]


def _snake(name: str) -> str:
    return "_".join(_words(name))
