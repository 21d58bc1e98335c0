"""What the rules of a field (buf.validate) demand of one value, as JSON Schema."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from buf.validate import validate_pb2
from f2h.access.v1 import text_pb2  # noqa: F401 - rules of our own are known once they are imported
from google.protobuf import descriptor
from google.protobuf.message import Message

from tools.openapi import cel
from tools.openapi.patterns import ecma
from tools.openapi.source import Json

Field = descriptor.FieldDescriptor

_UTF8_BYTES = 4
"""How many bytes of UTF-8 a character has at most."""

_FORMATS: Mapping[str, Json] = {
    "email": {"format": "email"},
    "hostname": {"format": "hostname"},
    "ip": cel.IP,
    "ipv4": {"format": "ipv4"},
    "ipv6": {"format": "ipv6"},
    "uri": {"format": "uri"},
    "uuid": {"format": "uuid"},
    # No format of the OpenAPI registry: a network in CIDR notation.
    "ip_prefix": {"format": "cidr"},
}


def _format(said: Json) -> Callable[[Any], Json]:
    return lambda value: dict(said) if value else {}


_STRING: Mapping[str, Callable[[Any], Json]] = {
    "const": lambda value: {"const": value},
    "len": lambda value: {"minLength": value, "maxLength": value},
    "min_len": lambda value: {"minLength": value},
    "max_len": lambda value: {"maxLength": value},
    "min_bytes": lambda value: {"minLength": math.ceil(value / _UTF8_BYTES)},
    "max_bytes": lambda value: {"maxLength": value},
    "pattern": lambda value: {"pattern": ecma(value)},
    "in": lambda value: {"enum": [*value]},
    "not_in": lambda value: {"not": {"enum": [*value]}},
    **{name: _format(said) for name, said in _FORMATS.items()},
}

_NUMBER: Mapping[str, Callable[[Any], Json]] = {
    "const": lambda value: {"const": value},
    "lt": lambda value: {"exclusiveMaximum": value},
    "lte": lambda value: {"maximum": value},
    "gt": lambda value: {"exclusiveMinimum": value},
    "gte": lambda value: {"minimum": value},
    "in": lambda value: {"enum": [*value]},
    "not_in": lambda value: {"not": {"enum": [*value]}},
}

_BOOL: Mapping[str, Callable[[Any], Json]] = {"const": lambda value: {"const": value}}

_FIELD_MASK: Mapping[str, Callable[[Any], Json]] = {
    # Empty is as good as not given.
    "in": lambda value: {"pattern": "^(({0})(,({0}))*)?$".format("|".join(value))},
}

_KINDS: Mapping[str, Mapping[str, Callable[[Any], Json]]] = {
    "string": _STRING,
    "bool": _BOOL,
    "field_mask": _FIELD_MASK,
    # Which names an enum has here is asked of protovalidate itself, see tools.openapi.schema.
    "enum": dict.fromkeys(("const", "defined_only", "in", "not_in"), lambda _: {}),
    "timestamp": dict.fromkeys(("lt_now", "gt_now"), lambda _: {}),
    **dict.fromkeys(("int32", "uint32", "sint32", "fixed32", "sfixed32"), _NUMBER),
    **dict.fromkeys(("float", "double"), _NUMBER),
    "bytes": {"max_len": lambda value: {"maxLength": math.ceil(value / 3) * 4}},
    # Text in JSON, which has no bounds: see `said`.
    **dict.fromkeys(
        ("int64", "uint64", "sint64", "fixed64", "sfixed64"),
        dict.fromkeys(("gt", "gte", "lt", "lte"), lambda _: {}),
    ),
}

_SAID: Mapping[str, Callable[[Any], str]] = {
    "max_bytes": lambda value: f"at most {value} bytes of UTF-8",
    "gt_now": lambda _: "in the future",
    "lt_now": lambda _: "in the past",
    "ip_prefix": lambda _: "a network in CIDR notation, for instance 203.0.113.0/24",
}
_SAID_OF_TEXT: Mapping[str, Callable[[Any], str]] = {
    "gt": lambda value: f"more than {value}",
    "gte": lambda value: f"{value} at least",
    "lt": lambda value: f"less than {value}",
    "lte": lambda value: f"{value} at most",
}
"""What JSON Schema cannot say, or not exactly."""


def rules_of(field: Field) -> validate_pb2.FieldRules:
    """The rules that stand at a field."""
    rules: validate_pb2.FieldRules = field.GetOptions().Extensions[validate_pb2.field]
    return rules


def schema(rules: validate_pb2.FieldRules, *, enum: bool = False) -> Json:
    """What a single value must be. Lists and maps have rules of their own: see `of_list`.

    Raises NotImplementedError for a rule that is not known here.
    """
    if rules.ignore == validate_pb2.IGNORE_ALWAYS:
        return {}
    found: Json = {}
    extra: list[Json] = []
    kind = rules.WhichOneof("type") or ""
    if kind not in {"", "repeated", "map"}:
        for name, value in _set(getattr(rules, kind)):
            if name not in _KINDS.get(kind, {}):
                raise NotImplementedError(f"the rule {kind}.{name} is not known to tools.openapi")
            _merge(found, extra, _KINDS[kind][name](value))
    if not enum:
        for rule in _cel(rules):
            _merge(found, extra, cel.schema(rule.expression) or {})
    if extra:
        found["allOf"] = extra
    if rules.ignore == validate_pb2.IGNORE_IF_ZERO_VALUE and found:
        return {"anyOf": [{"const": _zero(kind)}, found]}
    return found


def of_list(rules: validate_pb2.RepeatedRules) -> Json:
    """What a list must be, besides its items."""
    found: Json = {}
    for name, value in _set(rules):
        if name == "items":
            continue
        key = {"min_items": "minItems", "max_items": "maxItems", "unique": "uniqueItems"}[name]
        found[key] = value
    return found


def of_map(rules: validate_pb2.MapRules) -> Json:
    """What a map must be, besides its values."""
    found: Json = {}
    for name, value in _set(rules):
        if name == "min_pairs":
            found["minProperties"] = value
        elif name == "max_pairs":
            found["maxProperties"] = value
        elif name == "keys":
            found["propertyNames"] = schema(value)
    return found


def said(rules: validate_pb2.FieldRules) -> list[str]:
    """What only words can say of a value: the rules that JSON Schema cannot express."""
    kind = rules.WhichOneof("type") or ""
    if kind == "repeated":
        return said(rules.repeated.items)
    found = [rule.message for rule in _cel(rules) if _is_inexact(rule.expression)]
    if kind in {"", "map"}:
        return found
    words = {**_SAID, **(_SAID_OF_TEXT if "64" in kind else {})}
    found += [
        f"must be {words[name](value)}"
        for name, value in _set(getattr(rules, kind))
        if name in words
    ]
    return found


def examples(rules: validate_pb2.FieldRules) -> list[Any]:
    """The examples that stand in the rules, as Python values."""
    kind = rules.WhichOneof("type") or ""
    if kind in {"", "repeated", "map", "any"}:
        return []
    return [*getattr(rules, kind).example]


def _cel(rules: validate_pb2.FieldRules) -> list[validate_pb2.Rule]:
    """The rules in CEL: those at the field, and those of our own kinds, such as `shown`."""
    kind = rules.WhichOneof("type")
    found = [*rules.cel]
    for field, value in getattr(rules, kind).ListFields() if kind else ():
        if field.is_extension and value:
            found += field.GetOptions().Extensions[validate_pb2.predefined].cel
    return found


def _is_inexact(expression: str) -> bool:
    return cel.schema(expression) is None or "isIpPrefix" in expression


def _set(rules: Message) -> list[tuple[str, Any]]:
    return [
        (field.name, value)
        for field, value in rules.ListFields()
        if field.name != "example" and not field.is_extension
    ]


def _merge(found: Json, extra: list[Json], more: Json) -> None:
    if found.keys() & more.keys():
        extra.append(more)
    else:
        found |= more


def _zero(kind: str) -> Any:
    return "" if kind in {"string", "bytes"} else False if kind == "bool" else 0
