"""A client of fail2ban.

fail2ban's socket is full control of its host: `set JAIL action …` runs commands there. So what can
be said is fixed: `status`, `get JAIL banip --with-time`, `banned IP` and `set JAIL unbanip IP`.
"""

import asyncio
import re
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from services.security.adapters.fail2ban.bans import ListedBans, nonsense
from services.security.adapters.fail2ban.codec import (
    END,
    Malformed,
    RemoteError,
    decode,
    encode,
)
from services.security.antihack.fail2ban import BanList, Health, SourceBusy, SourceFailed
from services.security.gateways.gateway import Gateway
from services.security.gateways.host import HostError, Hosts, NothingListens

_T = TypeVar("_T")

FIND_SERVER = (
    'read -r path; if [ -S "$path" ] && ! [ -w "$path" ]; then echo forbidden; '
    "elif command -v fail2ban-server >/dev/null; then echo stopped; else echo absent; fi"
)
"""Why nothing listens, in a word. The path of the socket is read from standard input."""

_WHY = {
    b"stopped": (Health.NOT_RUNNING, "Its fail2ban does not run."),
    b"absent": (Health.NOT_INSTALLED, "It has no fail2ban."),
    b"forbidden": (Health.UNREACHABLE, "It does not let us open the socket of its fail2ban."),
}

PART_BYTES = 64 * 1024
"""How much is read at once."""

WAITS = 2

MOST_JAILS = 20_000

THREAD_BYTES = 256 * 1024
"""What is longer is decoded beside the event loop."""

_JAIL = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", re.ASCII)

_SETTINGS = frozenset(
    {
        "allowipv6",
        "dbfile",
        "dbmaxmatches",
        "dbpurgeage",
        "loglevel",
        "logtarget",
        "syslogsocket",
        "thread",
    }
)
"""Where fail2ban takes a jail's name it takes these first, and sets what they say: `set logtarget
unbanip …` would write its log to a file of that name (its server/transmitter.py).
"""

_UNKNOWN_JAIL = "fail2ban.exceptions.UnknownJailException"


@dataclass
class _Line:
    """Those who want to ask one gateway."""

    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    callers: int = 0
    """Who is served, and who waits."""


class Fail2banClient:
    """Implements Fail2ban. It connects for each command, as fail2ban-client does, and has one
    connection to a gateway at a time: fail2ban serves them one after the other anyway, and lets few
    wait.
    """

    def __init__(
        self,
        hosts: Hosts,
        *,
        seconds: float = 5.0,
        most_bytes: int = 32 * 1024 * 1024,
        waiting: int = 64,
    ) -> None:
        """Every command has so many `seconds`, and waits WAITS times as long for its turn. An
        answer has at most `most_bytes`. So many callers may be `waiting` for a gateway, beside the
        one that is served.
        """
        self._hosts = hosts
        self._seconds = seconds
        self._most_bytes = most_bytes
        self._waiting = waiting
        self._lines: dict[str, _Line] = {}

    async def jails(self, gateway: Gateway) -> list[str]:
        """See Fail2ban."""
        return await self._ask(gateway, ["status"], _listed)

    async def bans(self, gateway: Gateway, jail: str) -> BanList:
        """See Fail2ban. Looking at a ban raises SourceFailed when its times are none.

        Raises ValueError: the jail's name is none.
        """
        _check(jail)
        zone = _zone(gateway)

        def read(result: object) -> ListedBans:
            return ListedBans(jail, _texts(result), zone)

        return await self._ask(gateway, ["get", jail, "banip", "--with-time"], read, of_jail=True)

    async def holding(self, gateway: Gateway, ip: str) -> list[str]:
        """See Fail2ban. Bans of networks that the address is in are not told.

        Raises ValueError: the address is none.
        """
        return await self._ask(gateway, ["banned", _address(ip)], _holders)

    async def unban(self, gateway: Gateway, jail: str, ip: str) -> bool:
        """See Fail2ban.

        Raises ValueError: the address, or the jail's name, is none.
        """
        _check(jail)
        command = ["set", jail, "unbanip", _address(ip)]
        return await self._ask(gateway, command, _lifted, of_jail=True)

    async def _ask(
        self,
        gateway: Gateway,
        command: Sequence[str],
        read: Callable[[object], _T],
        *,
        of_jail: bool = False,
    ) -> _T:
        """What `read` makes of the result. LookupError comes of a command `of_jail` alone."""
        try:
            async with self._turn(gateway), asyncio.timeout(self._seconds):
                answer = await self._exchange(gateway, encode(command))
                if len(answer) > THREAD_BYTES:
                    return await asyncio.to_thread(_read, answer, read, of_jail=of_jail)
                return _read(answer, read, of_jail=of_jail)
        except TimeoutError:
            raise SourceFailed(Health.UNREACHABLE, "It did not answer in time.") from None
        except HostError as error:
            raise SourceFailed(Health.UNREACHABLE, str(error)) from None

    @asynccontextmanager
    async def _turn(self, gateway: Gateway) -> AsyncIterator[None]:
        line = self._lines.setdefault(gateway.name, _Line())
        if line.callers > self._waiting:
            raise SourceBusy("Too many wait for it.")
        line.callers += 1
        try:
            await self._first_in(line)
            try:
                yield
            finally:
                line.turn.release()
        finally:
            line.callers -= 1
            if not line.callers:
                del self._lines[gateway.name]

    async def _first_in(self, line: _Line) -> None:
        """Waits for the turn. That others take long says nothing about who is asked."""
        try:
            async with asyncio.timeout(WAITS * self._seconds):
                await line.turn.acquire()
        except TimeoutError:
            raise SourceBusy("Too many wait for it.") from None

    async def _exchange(self, gateway: Gateway, command: bytes) -> bytes:
        """The answer to a command, without END."""
        try:
            async with self._hosts.connect(gateway, gateway.socket) as conversation:
                await conversation.write(command)
                answer = bytearray()
                while not answer.endswith(END):
                    part = await conversation.read(PART_BYTES)
                    if not part:
                        raise SourceFailed(Health.UNREACHABLE, "Its fail2ban ended the connection.")
                    answer += part
                    if len(answer) > self._most_bytes:
                        raise SourceFailed(
                            Health.UNREACHABLE, "Its fail2ban answers with more than is read."
                        )
                return bytes(memoryview(answer)[: -len(END)])
        except NothingListens:
            pass
        found = await self._hosts.run(gateway, FIND_SERVER, f"{gateway.socket}\n".encode())
        unknown = Health.UNREACHABLE, "It does not say whether its fail2ban runs."
        raise SourceFailed(*_WHY.get(found.output.strip(), unknown))


def _read(answer: bytes, read: Callable[[object], _T], *, of_jail: bool) -> _T:
    """What `read` makes of the result in an answer: fail2ban's server/transmitter.py makes it."""
    try:
        decoded = decode(answer)
    except Malformed:
        raise nonsense() from None
    match decoded:
        case (0, result):
            return read(result)
        case (1, RemoteError(name=name)):
            if of_jail and name == _UNKNOWN_JAIL:
                raise LookupError("There is no such jail.")
            raise SourceFailed(Health.UNREACHABLE, "Its fail2ban refuses the question.")
    raise nonsense()


def _listed(result: object) -> list[str]:
    """The jails of `status`, of which it lists the names in one text."""
    match result:
        case [("Number of jail", int()), ("Jail list", str(names))]:
            listed = names.split(", ", MOST_JAILS)
            if len(listed) > MOST_JAILS:
                raise nonsense()
            # What is in there twice is the work of a comma in a name.
            return list(dict.fromkeys(name for name in listed if _is_jail(name)))
    raise nonsense()


def _holders(result: object) -> list[str]:
    """The jails of `banned`: a list for each address that was asked about, which is one."""
    match result:
        case [names]:
            return [name for name in _texts(names) if _is_jail(name)]
    raise nonsense()


def _lifted(result: object) -> bool:
    """The number of bans that `unbanip` lifted."""
    if type(result) is not int or result not in {0, 1}:
        raise nonsense()
    return result == 1


def _texts(result: object) -> list[str]:
    if not isinstance(result, list) or not all(type(each) is str for each in result):
        raise nonsense()
    return result


def _is_jail(name: str) -> bool:
    return _JAIL.fullmatch(name) is not None and name not in _SETTINGS


def _check(jail: str) -> None:
    if not _is_jail(jail):
        raise ValueError("This is no name of a jail.")


def _address(ip: str) -> str:
    """An address as fail2ban writes it, by which it finds bans. Raises ValueError."""
    address: IPv4Address | IPv6Address = ip_address(ip)
    if isinstance(address, IPv4Address):
        return str(address)
    if address.scope_id is not None:
        raise ValueError("This address has a zone.")
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return socket.inet_ntop(socket.AF_INET6, address.packed)


def _zone(gateway: Gateway) -> ZoneInfo:
    try:
        return ZoneInfo(gateway.time_zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise SourceFailed(
            Health.UNREACHABLE, "The time zone that is registered for it is none."
        ) from None
