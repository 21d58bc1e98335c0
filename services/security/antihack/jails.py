"""Which server a jail concerns: its name says which address it protects.

"sshd-203.0.113.9" is the jail `sshd` of that address; an IPv6 address is written with "-" for ":",
"sshd-2001-db8--9", since names of nftables sets have no colon. What is before the first "-" has
none, so a name is read in one way only.
"""

import re
from collections.abc import Iterable

_SERVICE = re.compile("[A-Za-z0-9_]+", re.ASCII)


def jail_suffix(ip: str) -> str:
    """What the name of a jail for this address, in canonical form, ends with."""
    return ip.replace(":", "-")


def concerning(jails: Iterable[str], ip: str) -> list[str]:
    """Those of the jails that protect this address, given in canonical form; no others."""
    suffix = jail_suffix(ip)
    return [jail for jail in jails if _protects(jail, suffix)]


def _protects(jail: str, suffix: str) -> bool:
    service, dash, rest = jail.partition("-")
    return bool(dash) and rest == suffix and _SERVICE.fullmatch(service) is not None
