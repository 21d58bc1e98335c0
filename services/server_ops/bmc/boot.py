"""What a machine boots from."""

from dataclasses import dataclass
from enum import StrEnum


class BootDevice(StrEnum):
    """Where firmware looks for a system."""

    NETWORK = "NETWORK"
    """PXE: DHCP says what is loaded."""
    DISK = "DISK"


@dataclass(frozen=True)
class BootOverride:
    """What is booted in place of what the firmware's own order says."""

    device: BootDevice
    once: bool = True
    """At the next start alone; else at every start."""
    uefi: bool = False
    """Whether the firmware is to boot by UEFI; else as a BIOS."""
