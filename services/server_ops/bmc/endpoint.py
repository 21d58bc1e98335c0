"""How a BMC is reached."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class BmcEndpoint:
    """A BMC's address and login."""

    address: str
    """IP address."""
    port: int
    """UDP port of RMCP+, usually 623."""
    username: bytes
    password: bytes = field(repr=False)
