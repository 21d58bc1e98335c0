"""What Spamhaus says of an address."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol


class SpamhausList(StrEnum):
    """A list of Spamhaus."""

    SBL = "SBL"
    CSS = "CSS"
    XBL = "XBL"
    DROP = "DROP"
    PBL = "PBL"
    BCL = "BCL"


class Delisting(StrEnum):
    """Who ends a listing."""

    ISP = "ISP"
    """Only the provider can ask for it."""
    SELF = "SELF"
    """Who uses the address asks for it."""
    EXPIRES = "EXPIRES"
    """It ends by itself when the cause is gone."""


@dataclass(frozen=True)
class Listing:
    """A list that an address is on."""

    list: SpamhausList
    return_codes: tuple[str, ...]
    """Of the list, as the resolver answered them, for instance "127.0.0.4"."""
    delisting: Delisting
    link: str
    """Where a person asks for the delisting, or reads why."""


@dataclass(frozen=True)
class LookUp:
    """What came of a look-up: the address is on these lists, or nobody knows."""

    ip: str
    listings: tuple[Listing, ...]
    unknown: str
    """Why it is not known, a sentence; empty: it is known, and no listings is clean."""
    time: datetime
    """When the resolver was asked, in UTC."""


class Blocklist(Protocol):
    """A DNS blocklist with Spamhaus's return codes."""

    async def look_up(self, ip: str, *, fresh: bool = False) -> LookUp:
        """What is said of an address in canonical form. It never raises: not to know is an answer.

        With `fresh`, the resolver is asked although what it said before may still be kept.
        """
        ...
