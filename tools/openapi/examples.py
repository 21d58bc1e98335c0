"""Examples of requests, put together from those of their fields."""

from collections.abc import Collection
from typing import Any

from google.protobuf import descriptor

from tools.openapi.schema import example_values
from tools.openapi.source import Json


def of_message(of: descriptor.Descriptor, *, without: Collection[str] = ()) -> Json:
    """An example of a message, of the fields that have one; empty: none has."""
    found = {each.name: _of_field(each) for each in of.fields if each.name not in without}
    return {name: value for name, value in found.items() if value is not None}


def _of_field(field: descriptor.FieldDescriptor) -> Any:
    if values := example_values(field):
        return values[0]
    nested = field.message_type
    if nested is None or nested.file.package.startswith("google.") or nested.GetOptions().map_entry:
        return None
    inner = of_message(nested)
    return ([inner] if field.is_repeated else inner) if inner else None
