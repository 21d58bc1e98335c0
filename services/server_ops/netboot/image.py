"""The images that machines boot, and whether their files are what was registered."""

import asyncio
import hashlib
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from hmac import compare_digest
from pathlib import Path
from typing import Protocol


class ImageKind(StrEnum):
    """What an image is for."""

    RESCUE = "RESCUE"
    INSTALLER = "INSTALLER"
    NETWORK = "NETWORK"


@dataclass(frozen=True)
class ImageFile:
    """A file below the image server's root."""

    path: str
    sha256: str
    """In hexadecimal, lower case."""


@dataclass(frozen=True)
class Image:
    """A kernel, its initial RAM disk and its command line."""

    name: str
    kind: ImageKind
    kernel: ImageFile
    initrd: ImageFile
    command_line: str
    update_time: datetime

    @property
    def files(self) -> tuple[ImageFile, ...]:
        """All of its files."""
        return (self.kernel, self.initrd)


class ImageDamaged(Exception):  # noqa: N818 - it says what happened
    """A file is missing or is not the one that was registered. The text says which, and why."""


class Images(Protocol):
    """Where images are kept."""

    async def find(self, name: str) -> Image | None:
        """The image with this name."""
        ...

    async def page(self, after: str, limit: int) -> list[Image]:
        """Images by name, those behind `after`, at most `limit`."""
        ...

    async def put(self, image: Image) -> None:
        """Makes an image known, or replaces it."""
        ...

    async def delete(self, name: str) -> bool:
        """Forgets an image; False when there is none."""
        ...


class ImageFiles:
    """The files below the image server's root."""

    def __init__(self, root: Path) -> None:
        self._root = root

    async def verify(self, *files: ImageFile) -> None:
        """Reads the files and compares their checksums. Raises ImageDamaged."""
        for file in files:
            await asyncio.to_thread(self._verify, file)

    def size(self, file: ImageFile) -> int:
        """How many bytes a file has. Raises OSError."""
        return (self._root / file.path).stat().st_size

    def _verify(self, file: ImageFile) -> None:
        root = self._root.resolve()
        path = (root / file.path).resolve()
        if not path.is_relative_to(root) or not path.is_file():
            raise ImageDamaged(f"There is no file {file.path} below the image server's root.")
        with path.open("rb") as content:
            digest = hashlib.file_digest(content, "sha256").hexdigest()
        if not compare_digest(digest, file.sha256):
            raise ImageDamaged(f"The SHA-256 of {file.path} is {digest}, not {file.sha256}.")
