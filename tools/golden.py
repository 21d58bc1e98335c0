"""Writes what others depend on into docs/, where it is kept: `python -m tools.golden`.

A test compares: who changes the contract sees here what that means for its readers.
"""

from collections.abc import Callable, Mapping
from functools import partial

from google.protobuf import descriptor_pb2

from tools import gen, protoc
from tools.openapi import document, errors_page

DOCS = protoc.ROOT / "docs"

GOLDEN: Mapping[str, Callable[[descriptor_pb2.FileDescriptorSet], str]] = {
    **{name: partial(document.written, name) for name in document.DOCUMENTS},
    "errors.md": errors_page.page,
}
"""What is made of the contract, by the name of its file."""


def main() -> None:
    """Writes all of it."""
    image = gen.read()
    for name, made in GOLDEN.items():
        (DOCS / name).write_text(made(image))


if __name__ == "__main__":
    main()
