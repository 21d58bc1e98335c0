"""How a BMC is reached."""

from dataclasses import dataclass, field
from enum import StrEnum


class Protocol(StrEnum):
    """What a BMC speaks."""

    IPMI = "IPMI"
    """IPMI 2.0 over RMCP+."""
    REDFISH = "REDFISH"
    """DMTF Redfish over HTTPS."""


@dataclass(frozen=True)
class BmcEndpoint:
    """A BMC's address and login."""

    address: str
    """IP address."""
    port: int
    """UDP port of RMCP+, usually 623; or TCP port of HTTPS, usually 443."""
    username: bytes
    password: bytes = field(repr=False)
    protocol: Protocol = Protocol.IPMI
    registration: int = 1
    """Counts up whenever the NOC registers the server again: then everything may be another."""
    refused: bool = False
    """Whether the BMC refused this login before: it is not tried again until it is changed."""
