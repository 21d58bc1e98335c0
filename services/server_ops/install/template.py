"""What can be installed, and how."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from services.server_ops.netboot.image import ImageFile


@dataclass(frozen=True)
class Document:
    """A file that the installer reads. Its content is a Jinja2 template."""

    name: str
    content: str


@dataclass(frozen=True)
class Layout:
    """A choice of how the disks are divided."""

    name: str
    description: str
    content: str


@dataclass(frozen=True)
class Template:
    """An operating system that can be installed, and how."""

    name: str
    os: str
    version: str
    image: str
    """Name of the image that installs it."""
    command_line: str
    """Added to the image's kernel command line. A Jinja2 template."""
    documents: tuple[Document, ...]
    disk_image: ImageFile | None
    """What the installer writes; None: it knows what to install."""
    layouts: tuple[Layout, ...]
    """The default first; none: there is no choice."""
    update_time: datetime

    def layout(self, name: str) -> Layout | None:
        """The layout with this name, or the default for no name; None: there is no such one."""
        if not name:
            return self.layouts[0] if self.layouts else Layout("", "", "")
        return next((layout for layout in self.layouts if layout.name == name), None)


class Templates(Protocol):
    """Where templates are kept."""

    async def find(self, name: str) -> Template | None:
        """The template with this name."""
        ...

    async def page(self, after: str, limit: int) -> list[Template]:
        """Templates by name, those behind `after`, at most `limit`."""
        ...

    async def put(self, template: Template) -> None:
        """Makes a template known, or replaces it."""
        ...

    async def delete(self, name: str) -> bool:
        """Forgets a template; False when there is none."""
        ...
