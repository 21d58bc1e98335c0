"""What a server boots: what it will be told, and what it was told last."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID


class BootType(StrEnum):
    """What a machine is told when it asks the network what to boot."""

    HARDDISK = "HARDDISK"
    RESCUE = "RESCUE"
    INSTALL = "INSTALL"
    NETWORK = "NETWORK"


@dataclass(frozen=True)
class LastBoot:
    """What a machine was told when it asked last."""

    boot_type: BootType
    time: datetime


@dataclass(frozen=True)
class Netboot:
    """What a server boots."""

    boot_type: BootType = BootType.HARDDISK
    image: str = ""
    """Name of the image; empty for HARDDISK."""
    kernel: str = ""
    """Path of its kernel, below the image server's root."""
    operation: UUID | None = None
    """Whose boot it is: for one start only. None: for every start."""
    last_boot: LastBoot | None = None

    @property
    def once(self) -> bool:
        """Whether it is for one start only."""
        return self.operation is not None
