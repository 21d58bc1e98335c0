"""Secrets in files that only their owner can read."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def write_once(path: Path, text: str) -> bool:
    """Writes a new file with mode 0600; one that exists stays as it is, and the answer is False.

    The file is there whole or not at all. Its folder is made with mode 0700 when it is missing.
    """
    with _draft(path, text) as draft:
        try:
            os.link(draft, path)
        except FileExistsError:
            return False
    return True


def replace(path: Path, text: str) -> None:
    """Writes a file with mode 0600 in place of one that is there: whole, or not at all."""
    with _draft(path, text) as draft:
        os.replace(draft, path)


@contextmanager
def _draft(path: Path, text: str) -> Iterator[Path]:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        yield draft
    finally:
        draft.unlink(missing_ok=True)
