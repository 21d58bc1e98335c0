"""How often addresses were banned before."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Protocol

from services.security.antihack.fail2ban import Ban

CountKey = tuple[str, str, str]
"""A gateway's name, a jail, and the banned address."""


class BanCounts(Protocol):
    """Where it is kept how often each jail was seen to block each address."""

    async def before(self, bans: Iterable[tuple[str, Ban]]) -> Mapping[CountKey, int]:
        """How often each of the bans, on the gateways of these names, had one before it."""
        ...

    async def count(self, gateway: str, bans: Iterable[Ban]) -> None:
        """Counts bans, each of them once however often it is counted."""
        ...

    async def tidy(self, before: datetime) -> None:
        """Forgets addresses that were not banned since."""
        ...
