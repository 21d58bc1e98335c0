"""JSON Schemas (2020-12) of messages in their JSON form, as the edge reads and prints it.

Field names are as the proto spells them. A request may leave out what is not required, and fields
that nobody knows are dropped; an answer has every field but unset messages, and what has presence.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import protovalidate
from buf.validate import validate_pb2
from google.protobuf import descriptor, json_format
from google.protobuf.message import Message

from tools.openapi import rules
from tools.openapi.rules import Field
from tools.openapi.source import Json, Source, first_sentence

ANY_PREFIX = "type.googleapis.com/"

_INTEGERS: Mapping[int, tuple[str, int, int]] = {
    Field.TYPE_INT32: ("int32", -(2**31), 2**31 - 1),
    Field.TYPE_SINT32: ("int32", -(2**31), 2**31 - 1),
    Field.TYPE_SFIXED32: ("int32", -(2**31), 2**31 - 1),
    Field.TYPE_UINT32: ("uint32", 0, 2**32 - 1),
    Field.TYPE_FIXED32: ("uint32", 0, 2**32 - 1),
}

# Text: JSON's numbers are exact to 2^53 only.
_INT64: Json = {"type": "string", "format": "int64", "pattern": "^-?[0-9]{1,19}$"}
_UINT64: Json = {"type": "string", "format": "uint64", "pattern": "^[0-9]{1,20}$"}

_SCALARS: Mapping[int, Json] = {
    Field.TYPE_STRING: {"type": "string"},
    Field.TYPE_BOOL: {"type": "boolean"},
    Field.TYPE_DOUBLE: {"type": "number", "format": "double"},
    Field.TYPE_FLOAT: {"type": "number", "format": "float"},
    Field.TYPE_BYTES: {"type": "string", "contentEncoding": "base64"},
    Field.TYPE_INT64: _INT64,
    Field.TYPE_SINT64: _INT64,
    Field.TYPE_SFIXED64: _INT64,
    Field.TYPE_UINT64: _UINT64,
    Field.TYPE_FIXED64: _UINT64,
}

_WELL_KNOWN: Mapping[str, Json] = {
    "google.protobuf.Timestamp": {"type": "string", "format": "date-time"},
    "google.protobuf.Duration": {
        "type": "string",
        "pattern": r"^-?[0-9]{1,12}(\.[0-9]{1,9})?s$",
        "examples": ["3.5s"],
    },
    "google.protobuf.FieldMask": {"type": "string"},
    "google.protobuf.Empty": {"type": "object"},
    "google.protobuf.Struct": {"type": "object"},
    "google.protobuf.ListValue": {"type": "array"},
    "google.protobuf.Value": {},
    "google.protobuf.Any": {
        "type": "object",
        "properties": {"@type": {"type": "string", "description": "Which message it is."}},
        "required": ["@type"],
    },
}
"""Messages whose JSON form is a special one (protobuf's ProtoJSON format)."""

_DETAILS = ("ErrorInfo", "BadRequest", "RetryInfo", "RequestInfo")
"""The messages of google.rpc that our errors have as details."""

_SAID = {"ErrorInfo": ("reason", "domain")}
"""What a detail of an error always says. The edge's own errors have no fields that are empty."""

OPERATION = "google.longrunning.Operation"
STATUS = "google.rpc.Status"


class Usage(Enum):
    """Which way a message goes."""

    REQUEST = "request"
    RESPONSE = "response"


@dataclass
class Schemas:
    """Makes schemas, and keeps those that they refer to."""

    source: Source
    prefix: str = "#/$defs/"
    """Where the reader of a schema finds what it refers to."""
    results: Mapping[str, str] = field(default_factory=dict)
    """What operations end with: full names of messages, by the RPC that begins the operation."""
    metadata: str = ""
    """Full name of the message that tells how far an operation is."""
    definitions: dict[str, Json] = field(default_factory=dict)
    """What was referred to, by name."""

    def message(
        self,
        of: descriptor.Descriptor,
        usage: Usage,
        *,
        without: Collection[str] = (),
    ) -> Json:
        """The schema of a message, in full; `without` are fields that come another way."""
        fields = [each for each in of.fields if each.name not in without]
        if usage is Usage.REQUEST:
            required = [
                each.name for each in fields if each.name in required_fields(self.source, of)
            ]
        else:
            required = [each.name for each in fields if _is_always_printed(each)]
        schema: Json = {"type": "object"}
        if described := self._of_message(of, usage):
            schema["description"] = described
        if fields:
            schema["properties"] = {each.name: self.field(each, usage) for each in fields}
        if required:
            schema["required"] = required
        return schema

    def reference(self, of: descriptor.Descriptor, usage: Usage) -> Json:
        """A reference to the schema of a message, which is kept; special ones are said in full."""
        if of.full_name in _WELL_KNOWN:
            return dict(_WELL_KNOWN[of.full_name])
        if of.full_name == OPERATION:
            return self.operation()
        if of.full_name == STATUS:
            return self.status()
        suffix = "Input" if usage is Usage.REQUEST else ""
        return self._kept(short(of) + suffix, lambda: self.message(of, usage))

    def field(self, of: Field, usage: Usage) -> Json:
        """The schema of a field, with what its comment and its rules say."""
        here = rules.rules_of(of) if usage is Usage.REQUEST else validate_pb2.FieldRules()
        schema = self._of_kind(of, usage, here)
        values = schema.pop("description", "")  # of an enum that is said in full
        schema["description"] = "\n\n".join(filter(None, [self._of_field(of, here), values]))
        if examples := example_values(of):
            schema["examples"] = examples
        if of.GetOptions().deprecated:
            schema["deprecated"] = True
        return schema

    def packed(self, of: descriptor.Descriptor) -> Json:
        """A reference to a message in a google.protobuf.Any, which says what it is."""

        def made() -> Json:
            schema = self.message(of, Usage.RESPONSE)
            kind: Json = {"type": "string", "const": f"{ANY_PREFIX}{of.full_name}"}
            schema["properties"] = {"@type": kind, **schema.get("properties", {})}
            always = [] if short(of) in _DETAILS else schema.get("required", [])
            schema["required"] = ["@type", *always, *_SAID.get(short(of), ())]
            return schema

        return self._kept(short(of), made)

    def status(self) -> Json:
        """A reference to google.rpc.Status with the details that our errors have."""

        def made() -> Json:
            schema = self.message(self.source.message(STATUS), Usage.RESPONSE)
            known = [self.packed(self.source.message(f"google.rpc.{name}")) for name in _DETAILS]
            schema["properties"]["details"]["items"] = {"anyOf": known}
            return schema

        return self._kept("Status", made)

    def operation(self, begun_by: str = "") -> Json:
        """A reference to google.longrunning.Operation: of any kind, or as one RPC begins it.

        `begun_by` is the RPC's path.
        """
        name = f"{begun_by.rpartition('/')[2]}Operation" if begun_by else "Operation"

        def made() -> Json:
            schema = self.message(self.source.message(OPERATION), Usage.RESPONSE)
            results = (
                [self.results[begun_by]] if begun_by else [*dict.fromkeys(self.results.values())]
            )
            packed = [self.packed(self.source.message(each)) for each in results]
            schema["properties"] |= {
                "metadata": self.packed(self.source.message(self.metadata)),
                "error": self.status(),
                "response": packed[0] if begun_by else {"oneOf": packed},
            }
            for each in ("metadata", "error", "response"):
                comment = self.source.comment(f"{OPERATION}.{each}")
                schema["properties"][each]["description"] = _first(comment)
            return schema

        return self._kept(name, made)

    def enum(self, of: descriptor.EnumDescriptor, numbers: Collection[int]) -> Json:
        """The names of an enum, in full if not all of them are allowed here."""
        values = [each.name for each in of.values if each.number in numbers]
        lines = [f"- `{each}`: {self.source.comment(f'{of.full_name}.{each}')}" for each in values]
        schema: Json = {"type": "string", "enum": values, "description": "\n".join(lines)}
        if len(values) < len(of.values):
            return schema
        schema["description"] = f"{self.source.comment(of.full_name)}\n\n{schema['description']}"
        return self._kept(short(of), lambda: schema)

    def _of_kind(self, of: Field, usage: Usage, here: validate_pb2.FieldRules) -> Json:
        if is_map(of) and of.message_type is not None:
            values = self._single(of.message_type.fields_by_name["value"], usage, here.map.values)
            return {
                "type": "object",
                "additionalProperties": values,
                **rules.of_map(here.map),
            }
        if of.is_repeated:
            items = self._single(of, usage, here.repeated.items)
            return {"type": "array", "items": items, **rules.of_list(here.repeated)}
        return self._single(of, usage, here)

    def _single(self, of: Field, usage: Usage, here: validate_pb2.FieldRules) -> Json:
        if of.enum_type is not None:
            numbers = [each.number for each in of.enum_type.values]
            if usage is Usage.REQUEST:
                numbers = allowed_numbers(self.source, of)
            return self.enum(of.enum_type, numbers)
        if of.message_type is not None:
            return {**self.reference(of.message_type, usage), **rules.schema(here)}
        if of.type in _INTEGERS:
            kind, least, most = _INTEGERS[of.type]
            bounds = {"minimum": least, "maximum": most} if usage is Usage.REQUEST else {}
            return {"type": "integer", "format": kind, **bounds, **rules.schema(here)}
        return {**_SCALARS[of.type], **rules.schema(here)}

    def _of_message(self, of: descriptor.Descriptor, usage: Usage) -> str:
        lines = [self.source.comment(of.full_name)]
        if of.file.package.startswith("google."):
            lines = [_first(lines[0])]  # the rest is for who implements it
        if usage is Usage.REQUEST:
            options = of.GetOptions().Extensions[validate_pb2.message]
            lines += [_rule(rule.message) for rule in options.cel]
        return "\n\n".join(line for line in lines if line)

    def _of_field(self, of: Field, here: validate_pb2.FieldRules) -> str:
        comment = self.source.comment(of.full_name)
        if of.full_name.startswith("google."):
            comment = _first(comment)
        return "\n\n".join([comment, *map(_rule, rules.said(here))])

    def _kept(self, name: str, make: Callable[[], Json]) -> Json:
        if name not in self.definitions:
            self.definitions[name] = {}  # so that a message that holds itself ends
            self.definitions[name] = make()
        return {"$ref": f"{self.prefix}{name}"}


def schema_of(of: descriptor.Descriptor, source: Source) -> Json:
    """The schema of a request message that needs nothing else: what it refers to is within it."""
    schemas = Schemas(source)
    schema = schemas.message(of, Usage.REQUEST)
    return {**schema, "$defs": schemas.definitions} if schemas.definitions else schema


def short(of: "descriptor.Descriptor | descriptor.EnumDescriptor") -> str:
    """The name of a message or enum without its package: "ApiKey.Calls"."""
    return of.full_name.removeprefix(f"{of.file.package}.")


def required_fields(source: Source, of: descriptor.Descriptor) -> frozenset[str]:
    """The fields that a request must have: those that protovalidate misses in an empty one.

    A field without presence that is left out is validated as its zero value.
    """
    violations = protovalidate.collect_violations(source.empty(of))
    return frozenset(
        field.name for field in of.fields if any(_is_of(each, field) for each in violations)
    )


def example_values(of: Field) -> list[Any]:
    """The examples in the rules of a field, in JSON form."""
    here = rules.rules_of(of)
    if of.is_repeated and not is_map(of):
        single = rules.examples(here.repeated.items)
        return [[_json(of, each) for each in single]] if single else []
    return [_json(of, each) for each in rules.examples(here)]


def _json(of: Field, value: Any) -> Any:
    if of.enum_type is not None:
        return of.enum_type.values_by_number[value].name
    if isinstance(value, Message):
        return json_format.MessageToDict(value)
    return value


def _is_of(violation: Any, of: Field) -> bool:
    """Whether it is the field itself that breaks a rule, or an item of it."""
    path = violation.proto.field  # None: a rule of the message as a whole
    return path is not None and [each.field_name for each in path.elements] == [of.name]


def allowed_numbers(source: Source, of: Field) -> list[int]:
    """The numbers of an enum that a request may have in a field, by protovalidate's own word."""
    assert of.enum_type is not None  # noqa: S101 - for the reader: it is an enum's field
    assert of.containing_type is not None  # noqa: S101 - and one of a message
    allowed = []
    for value in of.enum_type.values:
        tried = source.empty(of.containing_type)
        if of.is_repeated:
            getattr(tried, of.name).append(value.number)
        else:
            setattr(tried, of.name, value.number)
        if not any(_is_of(violation, of) for violation in protovalidate.collect_violations(tried)):
            allowed.append(value.number)
    return allowed


def _is_always_printed(of: Field) -> bool:
    return of.is_repeated or not of.has_presence


def is_map(of: Field) -> bool:
    """Whether a field is a map."""
    return bool(of.message_type is not None and of.message_type.GetOptions().map_entry)


def _first(comment: str) -> str:
    return f"{first_sentence(comment)}."


def _rule(text: str) -> str:
    return f"Rule: {text}."
