"""What a jail blocks, as fail2ban lists it: a line a ban."""

import re
import socket
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Network, IPv6Network, ip_network
from zoneinfo import ZoneInfo

from services.security.antihack.fail2ban import Ban, BanList, Health, SourceFailed

_TIME = r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}"
_LINE = re.compile(rf".+ \t({_TIME}) \+ (-?[0-9]{{1,19}}) = ({_TIME})")
"""`getBanList` of its server/banmanager.py: address, since when, seconds, until when."""

_MAPPED = IPv6Network("::ffff:0:0/96")


class ListedBans(BanList):
    """Bans by address. Of each line only the address is read, until its ban is looked at.

    Looking at a ban raises SourceFailed: its times are none.
    """

    def __init__(self, jail: str, lines: Iterable[str], zone: ZoneInfo) -> None:
        """`zone` is the one that the lines tell times in. Lines whose address is none are left out.

        Raises SourceFailed: these are no lines of such a list.
        """
        self._jail = jail
        self._zone = zone
        self._lines: dict[str, str] = {}
        for line in lines:
            # Of what an "address" may hold the last separator is not part.
            text, separator, _ = line.rpartition(" \t")
            if not separator:
                raise nonsense()
            ip = canonical(text)
            if ip is not None:
                self._lines[ip] = line

    def __getitem__(self, ip: str) -> Ban:
        line = _LINE.fullmatch(self._lines[ip])
        if line is None:
            raise nonsense()
        since, seconds, end = line.groups()
        try:
            return self._ban(ip, since, int(seconds), end)
        except (ValueError, OverflowError):
            raise nonsense() from None

    def mark(self, ip: str) -> str:
        """See BanList: the line."""
        return self._lines[ip]

    def __contains__(self, ip: object) -> bool:
        return ip in self._lines

    def __iter__(self) -> Iterator[str]:
        return iter(self._lines)

    def __len__(self) -> int:
        return len(self._lines)

    def _ban(self, ip: str, since: str, seconds: int, end: str) -> Ban:
        local = datetime.fromisoformat(since).replace(tzinfo=self._zone)
        begin = local.astimezone(UTC)
        if seconds < 0 or (expires := _later(begin, seconds)) is None:
            return Ban(ip, self._jail, begin, None)
        # When clocks are turned back an hour comes twice; the end shows which of them is meant.
        again = local.replace(fold=1).astimezone(UTC)
        if again != begin and expires.astimezone(self._zone).replace(
            tzinfo=None
        ) != datetime.fromisoformat(end):
            begin, expires = again, again + timedelta(seconds=seconds)
        return Ban(ip, self._jail, begin, expires)


def canonical(text: str) -> str | None:
    """The address, or the network in CIDR notation, in canonical form; None: the text is neither.

    An IPv4 address in IPv6 is the IPv4 address. One with a zone ("fe80::1%eth0") is none.
    """
    try:
        # The C library does so in a fraction of the time, and lists are long. What it takes for an
        # IPv4 address is canonical.
        socket.inet_pton(socket.AF_INET, text)
    except (OSError, ValueError):
        return _canonical(text)
    return text


def _canonical(text: str) -> str | None:
    try:
        packed = socket.inet_pton(socket.AF_INET6, text)
    except (OSError, ValueError):
        pass
    else:
        address = socket.inet_ntop(socket.AF_INET6, packed)
        if "." not in address:
            return address
    if "%" in text:
        return None
    try:
        network = ip_network(text, strict=False)
    except ValueError:
        return None
    if isinstance(network, IPv6Network) and network.subnet_of(_MAPPED):
        last = int(network.network_address) & 0xFFFFFFFF
        network = IPv4Network((last, network.prefixlen - 96))
    if network.prefixlen == network.max_prefixlen:
        return str(network.network_address)
    return str(network)


def _later(begin: datetime, seconds: int) -> datetime | None:
    """So many seconds later; None: after the last year that there is, which is never."""
    try:
        return begin + timedelta(seconds=seconds)
    except OverflowError:
        return None


def nonsense() -> SourceFailed:
    """That an answer is of a form that fail2ban has none of."""
    return SourceFailed(Health.UNREACHABLE, "Its fail2ban answers nonsense.", answered=True)
