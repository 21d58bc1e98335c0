"""Examples of requests, put together from those of their fields."""

from collections.abc import Collection
from typing import Any

from google.protobuf import descriptor

from tools.openapi.schema import allowed_numbers, example_values, is_map, required_fields
from tools.openapi.source import Json, Source


def of_message(source: Source, of: descriptor.Descriptor, *, without: Collection[str] = ()) -> Json:
    """An example of a message, of the fields that have one; empty: none has."""
    required = required_fields(source, of)
    found = {
        each.name: _of_field(source, each, required=each.name in required)
        for each in of.fields
        if each.name not in without
    }
    return {name: value for name, value in found.items() if value is not None}


def _of_field(source: Source, field: descriptor.FieldDescriptor, *, required: bool) -> Any:
    if values := example_values(field):
        return values[0]
    if field.enum_type is not None and required:
        # A list of an enum has no example of its own: with one, buf lint 1.75 panics.
        name = field.enum_type.values_by_number[allowed_numbers(source, field)[0]].name
        return [name] if field.is_repeated else name
    nested = field.message_type
    if nested is None or nested.full_name.startswith("google.") or is_map(field):
        return None
    inner = of_message(source, nested)
    return ([inner] if field.is_repeated else inner) if inner else None
