"""The contract as it is written: its descriptors, and the comments that stand at them."""

import importlib
import re
from collections.abc import Iterator
from typing import Any

from google.protobuf import descriptor, descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import Message

_PARAGRAPHS = re.compile(r"\n[ \t]*\n")


class Source:
    """A descriptor set with source info, whose files are known to Python."""

    def __init__(self, image: descriptor_pb2.FileDescriptorSet) -> None:
        self._comments: dict[str, str] = {}
        self._pool: descriptor_pool.DescriptorPool = descriptor_pool.Default()
        for file in image.file:
            self._make_known(file)
            self._comments |= _comments(file)

    def comment(self, name: str) -> str:
        """What is written above the thing with this full name; a line is a paragraph of it.

        A value of an enum has the full name of the enum before its own.
        """
        return self._comments.get(name, "")

    def message(self, name: str) -> descriptor.Descriptor:
        """The message with this full name."""
        return self._pool.FindMessageTypeByName(name)

    def method(self, path: str) -> descriptor.MethodDescriptor:
        """The RPC "/package.Service/Method"."""
        return self._pool.FindMethodByName(path.removeprefix("/").replace("/", "."))

    def empty(self, of: descriptor.Descriptor) -> Message:
        """A message of this type in which nothing is set."""
        return message_factory.GetMessageClass(of)()

    def _make_known(self, file: descriptor_pb2.FileDescriptorProto) -> None:
        # What has generated code is known by that. The pool refuses a file that differs by a
        # comment, so it must not have been told another way when the code is imported.
        try:
            importlib.import_module(file.name.removesuffix(".proto").replace("/", ".") + "_pb2")
        except ModuleNotFoundError:
            bare = descriptor_pb2.FileDescriptorProto()
            bare.CopyFrom(file)
            bare.ClearField("source_code_info")
            self._pool.AddSerializedFile(bare.SerializeToString())


def first_sentence(comment: str) -> str:
    """The first sentence of a comment, without its full stop."""
    return re.split(r"\.(?:\s|$)", comment, maxsplit=1)[0]


def _comments(file: descriptor_pb2.FileDescriptorProto) -> dict[str, str]:
    names = dict(_names(file))
    return {
        names[tuple(at.path)]: _text(at.leading_comments)
        for at in file.source_code_info.location
        if tuple(at.path) in names and at.leading_comments
    }


def _text(written: str) -> str:
    """A comment with a line a paragraph, however it was broken."""
    paragraphs = (" ".join(each.split()) for each in _PARAGRAPHS.split(written.strip()))
    return "\n\n".join(paragraphs)


def _names(file: descriptor_pb2.FileDescriptorProto) -> Iterator[tuple[tuple[int, ...], str]]:
    """The full name of everything in a file, by its path: field numbers of descriptor.proto."""
    for s, service in enumerate(file.service):
        name = f"{file.package}.{service.name}"
        yield (6, s), name
        for m, method in enumerate(service.method):
            yield (6, s, 2, m), f"{name}.{method.name}"
    for e, enum in enumerate(file.enum_type):
        yield from _enum_names((5, e), file.package, enum)
    for m, each in enumerate(file.message_type):
        yield from _message_names((4, m), file.package, each)


def _message_names(
    path: tuple[int, ...], scope: str, of: descriptor_pb2.DescriptorProto
) -> Iterator[tuple[tuple[int, ...], str]]:
    name = f"{scope}.{of.name}"
    yield path, name
    for f, field in enumerate(of.field):
        yield (*path, 2, f), f"{name}.{field.name}"
    for m, nested in enumerate(of.nested_type):
        yield from _message_names((*path, 3, m), name, nested)
    for e, enum in enumerate(of.enum_type):
        yield from _enum_names((*path, 4, e), name, enum)


def _enum_names(
    path: tuple[int, ...], scope: str, of: descriptor_pb2.EnumDescriptorProto
) -> Iterator[tuple[tuple[int, ...], str]]:
    name = f"{scope}.{of.name}"
    yield path, name
    for v, value in enumerate(of.value):
        yield (*path, 2, v), f"{name}.{value.name}"


Json = dict[str, Any]
"""A JSON object."""
