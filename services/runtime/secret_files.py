"""Secrets in files that only their owner can read."""

import os
from pathlib import Path


def write_once(path: Path, text: str) -> bool:
    """Writes a new file with mode 0600; one that exists stays as it is, and the answer is False.

    The folder is made with mode 0700 when it is missing.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return False
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    return True
