"""Why a key is a risk."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import StrEnum

from services.auth.keys.key import ApiKey, Inventory, Owned, State
from services.runtime.errors import ApiError

UNUSED_AFTER = timedelta(days=90)

_ASKED_AT_ONCE = 1000
"""How many hostnames the inventory takes."""


class Warning(StrEnum):  # noqa: A001 - the contract's word
    """As f2h.auth.v1.ApiKey.Warning."""

    NO_EXPIRY = "NO_EXPIRY"
    NO_CIDR = "NO_CIDR"
    UNUSED_90_DAYS = "UNUSED_90_DAYS"
    ALL_SERVERS = "ALL_SERVERS"


def warnings(key: ApiKey, now: datetime, owned: Owned | None) -> list[Warning]:
    """The risks of a key; none for one that cannot be used any more.

    `owned` is what the inventory says of the key's servers; None when it does not answer.
    """
    if key.state(now) != State.ACTIVE:
        return []
    several = owned is not None and owned.account_servers > 1
    risks = {
        Warning.NO_EXPIRY: key.expire_time is None,
        Warning.NO_CIDR: not key.cidrs,
        Warning.UNUSED_90_DAYS: now - (key.last_used_at or key.create_time) >= UNUSED_AFTER,
        Warning.ALL_SERVERS: several
        and owned is not None
        and len(owned.hostnames.intersection(key.servers)) == owned.account_servers,
    }
    return [risk for risk, holds in risks.items() if holds]


async def servers_of(keys: Iterable[ApiKey], account: str, inventory: Inventory) -> Owned | None:
    """What the inventory says of all servers that the keys name; None when it does not answer.

    A list of keys is there to be used when things go wrong: it does not fail with the inventory.
    """
    named = sorted({server for key in keys for server in key.servers})
    hostnames: set[str] = set()
    total = 0
    try:
        for start in range(0, max(len(named), 1), _ASKED_AT_ONCE):
            answer = await inventory.owned(account, named[start : start + _ASKED_AT_ONCE])
            hostnames |= answer.hostnames
            total = answer.account_servers
    except ApiError:
        return None
    return Owned(frozenset(hostnames), total)
