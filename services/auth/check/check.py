"""Whether a call may pass, and as whom. Every call waits for this: it does nothing twice."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from cachetools import LRUCache
from f2h.access.v1.principal_pb2 import Principal
from f2h.access.v1.reason_pb2 import Reason

from services.auth.check.failures import Failures
from services.auth.check.origin import refuse_foreign_origin
from services.auth.check.records import (
    KeyRecord,
    KeyRecords,
    RecordCache,
    SessionRecord,
    SessionRecords,
)
from services.auth.keys.digests import Digests
from services.auth.keys.key import SecretDigest
from services.auth.keys.secret import SESSION_PREFIX, KeyText, parse
from services.auth.keys.usage import Usage
from services.runtime.access import (
    Audience,
    Rule,
    address_not_allowed,
    audience_not_allowed,
    capability_missing,
    role_missing,
)
from services.runtime.clock import Clock
from services.runtime.errors import ApiError
from services.runtime.networks import is_within, parse_address
from services.runtime.principal import Signer

PRINCIPAL_SECONDS = 30
"""How long a principal holds. It goes from the edge to a service; callers never see it."""

SIGNED_SECONDS = 10
"""For how long a signed principal is handed out again, so that not every call pays a signature."""

TOUCH_EVERY = timedelta(minutes=1)
"""How often it is written down that a session was used."""

_PUBLIC, _CUSTOMER = Audience.PUBLIC, Audience.CUSTOMER
"""Looked up once: a name of a proto's enum costs as much as the rest of a comparison."""

_NOBODY = bytes(32)
"""The digest that an unknown key is compared with, so that it takes the time of a known one."""


class Listener(StrEnum):
    """The edge's listener that a call came through."""

    PUBLIC = "public"
    INTERNAL = "internal"


_PASSES = {
    Listener.PUBLIC: frozenset({Audience.PUBLIC, Audience.CUSTOMER, Audience.SESSION}),
    Listener.INTERNAL: frozenset({Audience.PUBLIC, Audience.NOC, Audience.STAFF}),
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
    session: str = ""
    """The token of a session, from its cookie; empty when there is none."""
    certificate: str = ""
    """Whom the client certificate names that the edge verified; empty when none was shown."""
    host: str = ""
    """What the client called the edge: host, and port unless it is the scheme's own."""
    origin: str = ""
    """What the header Origin holds; empty when it is missing."""
    request: str = ""
    """The edge's id of the request."""


@dataclass(frozen=True, slots=True)
class Passage:
    """A call may pass."""

    principal: str = ""
    """The signed principal of the caller; empty for a call that needs none."""
    subject: str = ""
    """In whose quota it counts: the id of a key or a user; empty: nobody's."""
    capability: str = ""
    """What a customer's key had to hold for it; empty: nothing."""


class Check:
    """Checks calls."""

    def __init__(
        self,
        rules: Mapping[str, Rule],
        keys: KeyRecords,
        sessions: SessionRecords,
        *,
        digests: Digests,
        signer: Signer,
        usage: Usage,
        failures: Failures,
        clock: Clock,
        idle: timedelta,
        origins: frozenset[str],
        secure: bool = False,
        cache_size: int,
        cache_seconds: float,
    ) -> None:
        """`cache_seconds` bounds how long a key that another process revoked still passes.

        `idle` is after how long without a call a session ends. `origins` are those that pages of
        ours have, besides the host that a call itself was sent to.
        """
        self._rules = rules
        self._key_records = keys
        self._session_records = sessions
        self._keys = RecordCache(keys.record, size=cache_size, seconds=cache_seconds)
        self._certified = RecordCache(keys.certified, size=cache_size, seconds=cache_seconds)
        self._sessions = RecordCache(sessions.record, size=cache_size, seconds=cache_seconds)
        self._digests = digests
        self._signer = signer
        self._usage = usage
        self._failures = failures
        self._clock = clock
        self._idle = idle
        self._origins = origins
        self._secure = secure
        self._signed: LRUCache[tuple[object, ...], tuple[float, str]] = LRUCache(cache_size)
        """Signed principals, each with when it is signed anew, in seconds since the Unix epoch."""

    async def __call__(self, attempt: Attempt) -> Passage:
        """Lets a call pass. Raises ApiError with the reason of the refusal."""
        rule = self._rules.get(attempt.path)
        passes = _PASSES.get(attempt.listener)  # type: ignore[call-overload]  # a str is its own key
        # What the rule allows and the listener lets pass: a NOC key is no good on the public one.
        audiences = rule.audiences & passes if rule and passes else frozenset()
        if rule is None or not audiences:
            raise ApiError(Reason.NOT_FOUND, "There is no such method.")
        if _PUBLIC in rule.audiences:
            if rule.mutates and attempt.origin:
                self._refuse_foreign(attempt)
            return Passage()
        if attempt.key:
            return self._pass_key(await self._key(attempt), attempt, rule, audiences)
        if attempt.certificate and attempt.listener == Listener.INTERNAL:
            record = await self._certified.get(attempt.certificate)
            if record is None:
                raise _invalid("The client certificate names no service that may call.")
            return self._pass_key(record, attempt, rule, audiences)
        if attempt.session:
            return await self._pass_session(await self._session(attempt), attempt, rule, audiences)
        text = "Send an API key in the header X-API-Key, or sign in."
        raise ApiError(Reason.CREDENTIAL_MISSING, text)

    async def renew(self, principal: Principal, header: str) -> str:
        """A principal in place of one that holds, and came as `header`, for a call that goes on.

        A token's ends with the token. Raises ApiError when it would not be given again.
        """
        if principal.session:
            session = await self._sessions.get(principal.session)
            if session is None:
                raise _ended()
            self._refuse_ended_session(session, self._clock())
            if (session.role, _account_of(session)) != (principal.role, principal.account):
                raise _changed()
            return self._principal_of_session(session)
        record = await self._keys.get(principal.subject)
        if record is None:
            raise _invalid()
        self._refuse_ended_key(record)
        if principal.token:
            return header
        if _digest_of(record) != principal.policy_digest:
            raise _changed()
        return self._principal_of_key(record)

    def forget_key(self, key_id: str) -> None:
        """Makes the next check of a key read it again: it was changed in this process."""
        self._keys.forget(key_id)

    def forget_session(self, session_id: str) -> None:
        """Makes the next check of a session read it again: it was ended in this process."""
        self._sessions.forget(session_id)

    async def claimed(self, attempt: Attempt) -> tuple[str, str, int]:
        """Whom a refused caller claims to be, for the audit trail: subject, account, audience.

        The account is that of the key or session that was named, whoever named it: its owner is
        to see who tries.
        """
        key = parse(attempt.key)
        if key is not None:
            record = await self._keys.get(key.id)
            return key.id, record.account if record else "", record.audience if record else 0
        session = parse(attempt.session, SESSION_PREFIX)
        found = await self._sessions.get(session.id) if session else None
        if found is not None:
            return found.user, found.account, found.audience
        return attempt.certificate, "", 0

    async def _key(self, attempt: Attempt) -> KeyRecord:
        key = parse(attempt.key)
        if key is None:
            raise _invalid()
        record = await self._keys.get(key.id)
        if not self._is_right(key, record) or record is None:
            self._failures.count(attempt.address)
            raise _invalid()
        if record.pepper != self._digests.in_use:
            await self._redigest(key, record)
        return record

    async def _session(self, attempt: Attempt) -> SessionRecord:
        token = parse(attempt.session, SESSION_PREFIX)
        record = await self._sessions.get(token.id) if token else None
        if token is None or not self._is_right(token, record) or record is None:
            self._failures.count(attempt.address)
            raise _ended()
        return record

    def _is_right(self, text: KeyText, record: KeyRecord | SessionRecord | None) -> bool:
        pepper = record.pepper if record else self._digests.in_use
        return self._digests.matches(text.secret, pepper, record.digest if record else _NOBODY)

    async def _redigest(self, key: KeyText, record: KeyRecord) -> None:
        """Moves a key that is used to the pepper in use, so that the old one can be retired."""
        pepper = self._digests.in_use
        old = SecretDigest(record.pepper, record.digest)
        new = SecretDigest(pepper, self._digests.digest(key.secret, pepper))
        await self._key_records.redigest(key.id, old, new)
        self._keys.forget(key.id)

    def _pass_key(
        self,
        record: KeyRecord,
        attempt: Attempt,
        rule: Rule,
        audiences: "frozenset[Audience.ValueType]",
    ) -> Passage:
        self._refuse_ended_key(record)
        if record.cidrs and not is_within(attempt.address, record.cidrs):
            raise address_not_allowed(_told(attempt.address))
        if record.audience not in audiences:
            raise audience_not_allowed(audiences)
        if record.audience == _CUSTOMER:
            # A rule for customers that names no capability lets none of them pass, unless it says
            # that any key will do: nobody holds the empty one.
            if not rule.any_key and rule.capability not in record.capabilities:
                raise capability_missing(rule.capability)
            self._usage.count(record.id, rule.capability, _told(attempt.address))

        used = rule.capability if record.audience == _CUSTOMER else ""
        return Passage(self._principal_of_key(record), record.id, used)

    async def _pass_session(
        self,
        record: SessionRecord,
        attempt: Attempt,
        rule: Rule,
        audiences: "frozenset[Audience.ValueType]",
    ) -> Passage:
        now = self._clock()
        self._refuse_ended_session(record, now)
        if record.audience not in audiences:
            raise audience_not_allowed(audiences)
        # A browser sends the cookie whoever wrote the page: only pages of ours may change things.
        if rule.mutates:
            self._refuse_foreign(attempt)
        if record.role < rule.role:
            raise role_missing(rule.role)
        if now - record.last_used_time >= TOUCH_EVERY:
            await self._session_records.touch(record.id, now)
            self._sessions.forget(record.id)

        return Passage(self._principal_of_session(record), record.user)

    def _refuse_ended_key(self, record: KeyRecord) -> None:
        if record.revoked:
            raise ApiError(Reason.KEY_REVOKED, "This API key was revoked.")
        if record.expire_time is not None and record.expire_time <= self._clock():
            raise ApiError(Reason.KEY_EXPIRED, "This API key has expired.")

    def _refuse_ended_session(self, record: SessionRecord, now: datetime) -> None:
        if record.expire_time <= now or record.last_used_time + self._idle <= now:
            raise _ended()

    def _principal_of_key(self, record: KeyRecord) -> str:
        def principal() -> Principal:
            return Principal(
                audience=record.audience,  # type: ignore[arg-type]  # an int at run time
                subject=record.id,
                account=record.account,
                policy_digest=_digest_of(record),
            )

        return self._signed_once((record.id, record.policy_digest), principal)

    def _principal_of_session(self, record: SessionRecord) -> str:
        def principal() -> Principal:
            return Principal(
                audience=record.audience,  # type: ignore[arg-type]  # an int at run time
                subject=record.user,
                account=_account_of(record),
                role=record.role,  # type: ignore[arg-type]
                session=record.id,
            )

        name = (record.id, record.user, record.role, record.account)
        return self._signed_once(name, principal)

    def _refuse_foreign(self, attempt: Attempt) -> None:
        refuse_foreign_origin(attempt.origin, attempt.host, self._origins, secure=self._secure)

    def _signed_once(self, name: tuple[object, ...], principal: Callable[[], Principal]) -> str:
        """A signed principal that may be given to several calls; `name` says what is in it."""
        now = self._clock().timestamp()
        until, signed = self._signed.get(name) or (0.0, "")
        if until <= now:
            made = principal()
            made.expire_seconds = int(now) + PRINCIPAL_SECONDS
            signed = self._signer.sign(made)
            self._signed[name] = now + SIGNED_SECONDS, signed
        return signed


def _told(address: str) -> str:
    """The client's address as it is told and kept: an IPv4 address is one, however it came."""
    return str(parse_address(address) or address)


def _invalid(text: str = "The API key is not valid.") -> ApiError:
    return ApiError(Reason.CREDENTIAL_INVALID, text)


def _changed() -> ApiError:
    text = "What this caller may do was changed while the call went on: call again."
    return ApiError(Reason.PRINCIPAL_INVALID, text)


def _digest_of(record: KeyRecord) -> bytes:
    return record.policy_digest if record.audience == _CUSTOMER else b""


def _account_of(record: SessionRecord) -> str:
    return record.account if record.audience == Audience.SESSION else ""


def _ended() -> ApiError:
    return ApiError(Reason.SESSION_INVALID, "The session has ended: sign in again.")
