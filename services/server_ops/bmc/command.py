"""Chassis commands and what is known of one after it was sent."""

from enum import Enum, IntEnum


class ChassisCommand(IntEnum):
    """Chassis Control, IPMI 2.0 section 28.3, table 28-4."""

    POWER_OFF = 0
    POWER_ON = 1
    POWER_CYCLE = 2
    HARD_RESET = 3
    SOFT_SHUTDOWN = 5


class CommandOutcome(Enum):
    """What is known of a command that was sent."""

    ACKNOWLEDGED = "ACKNOWLEDGED"
    """The BMC answered that it does it."""
    UNKNOWN = "UNKNOWN"
    """No answer came: the command or its answer may be lost. Look at the machine."""
