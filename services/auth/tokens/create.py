"""Exchanging a key for a short-lived token, which the edge verifies without asking anybody."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from f2h.access.v1.principal_pb2 import Principal
from f2h.access.v1.reason_pb2 import Reason

from services.auth.keys.key import Keys, State
from services.auth.tokens.signing import Signing
from services.runtime.access import Audience
from services.runtime.clock import Clock
from services.runtime.errors import ApiError, Violation
from services.runtime.policy import Policy
from services.runtime.quota import WINDOW_SECONDS, PerMinute

ISSUER = "f2hcloud"
AUDIENCE = "f2hcloud-api"
"""As edge/envoy.yaml expects them."""

DEFAULT_SECONDS = 300


@dataclass(frozen=True)
class TokenForm:
    """What the token is for."""

    capabilities: tuple[str, ...]
    """Empty: all of the key's."""
    servers: tuple[str, ...]
    """Empty: all of the key's."""
    lifetime_seconds: int
    """0: the default."""


@dataclass(frozen=True)
class Token:
    """A token."""

    text: str
    seconds: int
    """For how long it holds."""
    expire_time: datetime


class CreateToken:
    """Makes tokens."""

    def __init__(self, keys: Keys, signing: Signing, quota: PerMinute, clock: Clock) -> None:
        """`quota` bounds how many tokens one key is exchanged for."""
        self._keys = keys
        self._signing = signing
        self._quota = quota
        self._clock = clock

    async def __call__(self, caller: Principal, form: TokenForm) -> Token:
        """A token with the rights of the caller's key, or fewer.

        It carries a signed principal, so a service cannot tell it from a call with the key, and
        holds for minutes whatever becomes of the key. It is good from the key's networks only.

        Raises ApiError(AUDIENCE_NOT_ALLOWED) for a caller who shows a token: it would live on and
        on; ApiError(KEY_REVOKED), ApiError(KEY_EXPIRED), ApiError(RATE_LIMITED), and
        ApiError(INVALID_REQUEST) for rights that the key does not have.
        """
        if caller.token:
            text = "A token is made with the API key itself, not with another token."
            raise ApiError(Reason.AUDIENCE_NOT_ALLOWED, text, metadata={"audience": "CUSTOMER"})
        if not self._quota.allows(caller.subject):
            text = "This key was exchanged for too many tokens: use one until it expires."
            raise ApiError(Reason.RATE_LIMITED, text, retry_after_seconds=WINDOW_SECONDS)
        now = self._clock()
        key = await self._keys.get(caller.subject)
        state = key.state(now) if key else State.REVOKED
        if key is None or state == State.REVOKED:
            raise ApiError(Reason.KEY_REVOKED, "This API key was revoked.")
        if state == State.EXPIRED:
            raise ApiError(Reason.KEY_EXPIRED, "This API key has expired.")
        policy = narrowed(key.policy(), form)
        await self._keys.keep_policy(policy, now)
        expire_time = now.replace(microsecond=0) + timedelta(
            seconds=form.lifetime_seconds or DEFAULT_SECONDS
        )
        expire_time = min(expire_time, key.expire_time or expire_time)
        expire_seconds = int(expire_time.timestamp())
        principal = Principal(
            audience=Audience.CUSTOMER,
            subject=key.id,
            account=key.account,
            policy_digest=policy.digest(),
            expire_seconds=expire_seconds,
            token=True,
        )
        text = self._signing.token(
            {
                "iss": ISSUER,
                "aud": AUDIENCE,
                "sub": key.id,
                "iat": int(now.timestamp()),
                "exp": expire_seconds,
                "principal": self._signing.sign(principal),
            }
        )
        return Token(text, max(expire_seconds - int(now.timestamp()), 0), expire_time)


def narrowed(policy: Policy, form: TokenForm) -> Policy:
    """The policy with no more than what was asked for. Raises ApiError(INVALID_REQUEST)."""
    capabilities = frozenset(form.capabilities) or policy.capabilities
    servers = frozenset(server.lower() for server in form.servers) or policy.servers
    violations = [
        Violation(field, f"the key does not have {', '.join(more)}")
        for field, more in (
            ("capabilities", sorted(capabilities - policy.capabilities)),
            ("servers", sorted(servers - policy.servers)),
        )
        if more
    ]
    if violations:
        text = "; ".join(f"{each.field}: {each.description}" for each in violations)
        raise ApiError(Reason.INVALID_REQUEST, text, violations=violations)
    return Policy(capabilities, servers, policy.cidrs)
