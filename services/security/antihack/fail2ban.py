"""What fail2ban on a gateway is asked."""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from services.security.gateways.gateway import Gateway


class Health(StrEnum):
    """Whether what a gateway's fail2ban says, or does not say, can be trusted."""

    OK = "OK"
    NO_JAILS = "NO_JAILS"
    NOT_RUNNING = "NOT_RUNNING"
    NOT_INSTALLED = "NOT_INSTALLED"
    UNREACHABLE = "UNREACHABLE"


@dataclass(frozen=True)
class Ban:
    """An address that a jail blocks."""

    ip: str
    """In canonical form, or a network in CIDR notation, for fail2ban bans those too."""
    jail: str
    since: datetime
    """In UTC."""
    expires: datetime | None
    """In UTC; None: it is for good."""


class BanList(Mapping[str, Ban]):
    """Bans by address, each read only when it is looked at. Looking at one raises SourceFailed."""

    @abstractmethod
    def mark(self, ip: str) -> object:
        """What this ban of the address has and another one of it has not; cheap to get."""


class SourceFailed(Exception):  # noqa: N818 - it says what happened
    """fail2ban was asked in vain; the text is for a person."""

    def __init__(self, health: Health, text: str, *, answered: bool = False) -> None:
        """`answered`: it said something, and only what was asked is not known."""
        super().__init__(text)
        self.health = health
        self.answered = answered


class SourceBusy(Exception):  # noqa: N818
    """So many wait for this gateway already that nobody more is let in; nothing was sent."""


class Fail2ban(Protocol):
    """fail2ban on the gateways. All of it raises SourceFailed and SourceBusy."""

    async def jails(self, gateway: Gateway) -> list[str]:
        """The names of its jails; those that are no valid names are left out."""
        ...

    async def bans(self, gateway: Gateway, jail: str) -> BanList:
        """What a jail blocks now.

        Raises LookupError: there is no such jail.
        """
        ...

    async def holding(self, gateway: Gateway, ip: str) -> list[str]:
        """The jails that block the address now."""
        ...

    async def unban(self, gateway: Gateway, jail: str, ip: str) -> bool:
        """Lifts a ban; False: the jail did not block the address.

        Raises LookupError: there is no such jail. After SourceFailed it may or may not be lifted.
        """
        ...
