"""A PTR record, and the DNS that holds it."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class Forward(StrEnum):
    """Whether a name leads back to an address."""

    CONFIRMED = "CONFIRMED"
    NOT_CONFIRMED = "NOT_CONFIRMED"
    UNKNOWN = "UNKNOWN"


@dataclass(frozen=True)
class Ptr:
    """A PTR record, as the DNS server holds it."""

    target: str
    """The name that it points to, lower case, without the dot at the end."""
    ttl_seconds: int
    record_name: str
    """The name of the record itself, without the dot at the end."""


class DnsError(Exception):
    """The DNS was asked in vain; nothing was changed. The text is for a customer."""


class DnsSilent(DnsError):  # noqa: N818 - it says what happened
    """The DNS server's answer is not known. After a change: it may or may not have made it."""


class DnsRefused(DnsError):  # noqa: N818
    """The DNS server refused, or its answer cannot be trusted."""

    def __init__(self, text: str, rcode: str = "") -> None:
        """`rcode` is the name of the response code (RFC 1035 section 4.1.1)."""
        super().__init__(text)
        self.rcode = rcode


class Dns(Protocol):
    """The authoritative server of the reverse zones, and a resolver. Addresses are canonical."""

    async def read(self, ip: str) -> Ptr | None:
        """The record, as the authoritative server holds it now. Raises DnsError."""
        ...

    async def write(self, ip: str, target: str | None) -> None:
        """Puts a record in place of what is there; None: removes it. Raises DnsError."""
        ...

    async def forward(self, target: str, ip: str) -> Forward:
        """Whether the name leads to the address, as the world sees it."""
        ...
