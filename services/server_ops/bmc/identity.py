"""What a BMC is, and what it can do."""

from dataclasses import dataclass
from enum import StrEnum


class Feature(StrEnum):
    """What a BMC was seen to have when it was probed."""

    RESTART_CAUSE = "RESTART_CAUSE"
    """It says why the system last started (IPMI 2.0 section 28.11)."""
    EVENT_LOG = "EVENT_LOG"
    SENSORS = "SENSORS"
    SERIAL_CONSOLE = "SERIAL_CONSOLE"


@dataclass(frozen=True)
class Identity:
    """What a BMC says of itself."""

    firmware: str
    """Version of its firmware, for instance "9.08"."""
    manufacturer: str
    """IPMI: the IANA enterprise number, for instance "674"; Redfish: a name."""
    product: str
    """IPMI: the product id, in decimal; Redfish: the model."""
    version: str
    """Of the protocol, for instance "2.0"."""
    guid: str
    """UUID of the system; empty when the BMC has none."""
    features: frozenset[Feature]
