"""Changing a key: freely where that gives nothing, and only to less where it would."""

from dataclasses import dataclass, replace

from f2h.access.v1.capability_pb2 import CapabilityInfo
from f2h.access.v1.reason_pb2 import Reason

from services.auth.keys.create import canonical_cidrs
from services.auth.keys.key import ApiKey, Keys
from services.runtime.access import CATALOGUE
from services.runtime.clock import Clock
from services.runtime.errors import ApiError, Violation


@dataclass(frozen=True)
class KeyChange:
    """What becomes of a key; None: as before."""

    label: str | None = None
    cidrs: tuple[str, ...] | None = None
    capabilities: tuple[str, ...] | None = None
    servers: tuple[str, ...] | None = None


class UpdateKey:
    """Changes keys."""

    def __init__(self, keys: Keys, clock: Clock) -> None:
        self._keys = keys
        self._clock = clock

    async def __call__(self, key_id: str, account: str | None, change: KeyChange) -> ApiKey:
        """The changed key. `account` is whose it must be; None: anybody's.

        Raises ApiError(NOT_FOUND), ApiError(KEY_NOT_ACTIVE), and ApiError(INVALID_REQUEST) naming
        every field that would give the key more than it has.
        """
        now = self._clock()

        def changed(key: ApiKey) -> ApiKey:
            require_of(key, account)
            key.require_active(now)
            return narrowed(key, change)

        return found(await self._keys.change(key_id, changed), key_id)


def found(key: ApiKey | None, key_id: str) -> ApiKey:
    """The key, or ApiError(NOT_FOUND)."""
    if key is None:
        raise ApiError(Reason.NOT_FOUND, f"There is no key {key_id}.")
    return key


def require_of(key: ApiKey, account: str | None) -> None:
    """Raises ApiError(NOT_FOUND), as for no key at all, when it is another account's."""
    if account is not None and key.account != account:
        found(None, key.id)


def narrowed(key: ApiKey, change: KeyChange) -> ApiKey:
    """The key with the change. Raises ApiError(INVALID_REQUEST)."""
    capabilities = key.capabilities if change.capabilities is None else change.capabilities
    servers = (
        key.servers
        if change.servers is None
        else tuple(dict.fromkeys(server.lower() for server in change.servers))
    )
    cidrs = key.cidrs if change.cidrs is None else canonical_cidrs(change.cidrs)
    violations = [
        Violation(field, f"the key does not have {', '.join(more)}: make a new key for more")
        for field, more in (
            ("capabilities", sorted({*capabilities} - {*key.capabilities})),
            ("servers", sorted({*servers} - {*key.servers})),
        )
        if more
    ]
    if not capabilities:
        violations.append(Violation("capabilities", "leave at least one, or revoke the key"))
    if not servers and any(
        CATALOGUE[c].scope == CapabilityInfo.SERVER for c in capabilities if c in CATALOGUE
    ):
        text = "leave at least one server, or take the server-scoped capabilities away too"
        violations.append(Violation("servers", text))
    if violations:
        text = "; ".join(f"{each.field}: {each.description}" for each in violations)
        raise ApiError(Reason.INVALID_REQUEST, text, violations=violations)
    return replace(
        key,
        label=key.label if change.label is None else change.label,
        cidrs=cidrs,
        capabilities=tuple(sorted({*capabilities})),
        servers=servers,
    )
