"""Whether a call may pass, and as whom. Every call waits for this: it does nothing twice."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

from cachetools import TTLCache
from f2h.access.v1.principal_pb2 import Principal
from f2h.access.v1.reason_pb2 import Reason

from services.auth.check.records import KeyRecord, KeyRecords, RecordCache
from services.auth.keys.digests import Digests
from services.auth.keys.secret import KeyText, parse
from services.runtime.access import Audience, Rule, audience_not_allowed, capability_missing
from services.runtime.clock import Clock
from services.runtime.errors import ApiError
from services.runtime.principal import PrincipalSigner

PRINCIPAL_SECONDS = 30
"""How long a principal holds. It goes from the edge to a service; callers never see it."""

SIGNED_SECONDS = 10
"""For how long a signed principal is handed out again, so that not every call pays a signature."""

_NOBODY = bytes(32)
"""The digest that an unknown key is compared with, so that it takes the time of a known one."""


class Listener(StrEnum):
    """The edge's listener that a call came through."""

    PUBLIC = "public"
    INTERNAL = "internal"


_PASSES = {
    Listener.PUBLIC: frozenset({Audience.PUBLIC, Audience.CUSTOMER, Audience.SESSION}),
    Listener.INTERNAL: frozenset({Audience.PUBLIC, Audience.NOC}),
}
"""The audiences whose calls a listener lets pass."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """A call that wants to pass."""

    path: str
    """As gRPC calls it: "/package.Service/Method"."""
    listener: str
    key: str
    """What the header X-API-Key holds; empty when it is missing."""
    address: str
    """The client's IP address, as the edge determined it."""


class Check:
    """Checks calls."""

    def __init__(
        self,
        rules: Mapping[str, Rule],
        keys: KeyRecords,
        digests: Digests,
        signer: PrincipalSigner,
        clock: Clock,
        *,
        cache_size: int,
        cache_seconds: float,
    ) -> None:
        """`cache_seconds` bounds how long a key that another process revoked still passes."""
        self._rules = rules
        self._records = RecordCache(keys, size=cache_size, seconds=cache_seconds)
        self._digests = digests
        self._signer = signer
        self._clock = clock
        self._signed: TTLCache[tuple[str, bytes], str] = TTLCache(cache_size, SIGNED_SECONDS)

    async def __call__(self, attempt: Attempt) -> str:
        """The signed principal of the caller, or "" for a call that needs none.

        Raises ApiError with the reason of the refusal.
        """
        rule = self._rules.get(attempt.path)
        passes = _PASSES.get(attempt.listener)  # type: ignore[call-overload]  # a str is its own key
        # What the rule allows and the listener lets pass: a NOC key is no good on the public one.
        audiences = rule.audiences & passes if rule and passes else frozenset()
        if rule is None or not audiences:
            raise ApiError(Reason.NOT_FOUND, "There is no such method.")
        if Audience.PUBLIC in rule.audiences:
            return ""
        if not attempt.key:
            text = "Send an API key in the header X-API-Key."
            raise ApiError(Reason.CREDENTIAL_MISSING, text)
        key = parse(attempt.key)
        if key is None:
            raise _invalid()
        record = await self._authenticate(key)
        self._refuse_unless_usable(record, attempt.address)
        _refuse_unless_allowed(record, rule, audiences)
        return self._principal(record)

    def forget(self, key_id: str) -> None:
        """Makes the next check of a key read it again: it was changed in this process."""
        self._records.forget(key_id)

    async def _authenticate(self, key: KeyText) -> KeyRecord:
        record = await self._records.get(key.id)
        pepper = record.pepper if record else self._digests.newest
        right = self._digests.matches(key.secret, pepper, record.digest if record else _NOBODY)
        if record is None or not right:
            raise _invalid()
        return record

    def _refuse_unless_usable(self, record: KeyRecord, client_address: str) -> None:
        if record.revoked:
            raise ApiError(Reason.KEY_REVOKED, "This API key was revoked.")
        if record.expire_time is not None and record.expire_time <= self._clock():
            raise ApiError(Reason.KEY_EXPIRED, "This API key has expired.")
        if record.cidrs:
            address = _address(client_address)
            if address is None or not any(
                address in network for network in _networks(record.cidrs)
            ):
                told = str(address or client_address)
                raise ApiError(
                    Reason.ADDRESS_NOT_ALLOWED,
                    f"This API key may not be used from {told}.",
                    metadata={"client_address": told},
                )

    def _principal(self, record: KeyRecord) -> str:
        name = (record.id, record.policy_digest)
        signed = self._signed.get(name)
        if signed is None:
            signed = self._signed[name] = self._signer.sign(
                Principal(
                    audience=record.audience,  # type: ignore[arg-type]  # an int at run time
                    subject=record.id,
                    account=record.account,
                    policy_digest=record.policy_digest,
                    expire_seconds=int(self._clock().timestamp()) + PRINCIPAL_SECONDS,
                )
            )
        return signed


def _refuse_unless_allowed(
    record: KeyRecord, rule: Rule, audiences: "frozenset[Audience.ValueType]"
) -> None:
    if record.audience not in audiences:
        raise audience_not_allowed(audiences)
    # A rule for customers that names no capability lets none of them pass: nobody holds it.
    if record.audience == Audience.CUSTOMER and rule.capability not in record.capabilities:
        raise capability_missing(rule.capability)


@lru_cache(maxsize=4096)
def _networks(cidrs: tuple[str, ...]) -> tuple[IPv4Network | IPv6Network, ...]:
    return tuple(ip_network(cidr) for cidr in cidrs)


@lru_cache(maxsize=4096)
def _address(text: str) -> IPv4Address | IPv6Address | None:
    """The client's address; an IPv4 address that came as ::ffff:a.b.c.d is an IPv4 address.

    None for what is no address at all, which is then in no network.
    """
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _invalid() -> ApiError:
    return ApiError(Reason.CREDENTIAL_INVALID, "The API key is not valid.")
