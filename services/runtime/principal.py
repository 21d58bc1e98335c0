"""The signed principal: who a call is made for, vouched for by auth, verified by every service."""

import base64
from collections.abc import Mapping
from typing import Protocol

from cachetools import LRUCache
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from f2h.access.v1.principal_pb2 import Principal, SignedPrincipal
from f2h.access.v1.reason_pb2 import Reason
from google.protobuf.message import DecodeError

from services.runtime.access import Audience
from services.runtime.clock import Clock
from services.runtime.errors import ApiError

HEADER = "x-f2h-principal"

CONTEXT = b"f2h.access.v1.Principal\0"
"""Signed before the principal, so that no signature over something else is one over a principal."""

CACHED_PRINCIPALS = 10_000

OWN_NAME_SECONDS = 30
"""For how long a service's own statement holds."""


class Signer(Protocol):
    """Signs principals."""

    def sign(self, principal: Principal) -> str:
        """The value of the header, ASCII."""
        ...


class PrincipalSigner:
    """Implements Signer with one key: one of auth's, by its number, or the one of a service."""

    def __init__(self, number: int, private_key: Ed25519PrivateKey, service: str = "") -> None:
        """With `service`, what it signs counts only where that speaks in its own name."""
        self._number = number
        self._private_key = private_key
        self._service = service

    def sign(self, principal: Principal) -> str:
        content = principal.SerializeToString(deterministic=True)
        signed = SignedPrincipal(
            principal=content,
            signature=self._private_key.sign(CONTEXT + content),
            signing_key=self._number,
            service=self._service,
        )
        return base64.urlsafe_b64encode(signed.SerializeToString()).decode()


class OwnName:
    """A service that calls another one in its own name, and not for a caller of its own."""

    def __init__(self, service: str, signer: Signer, clock: Clock) -> None:
        self._service = service
        self._signer = signer
        self._clock = clock

    def principal(self) -> Principal:
        """Its principal, from now on for OWN_NAME_SECONDS."""
        return Principal(
            audience=Audience.SERVICE,
            subject=self._service,
            expire_seconds=int(self._clock().timestamp()) + OWN_NAME_SECONDS,
        )

    def header(self) -> str:
        """The same, signed."""
        return self._signer.sign(self.principal())

    def metadata(self) -> tuple[tuple[str, str], ...]:
        """The metadata of such a call."""
        return ((HEADER, self.header()),)


class PrincipalVerifier:
    """Verifies what PrincipalSigner made."""

    def __init__(
        self,
        public_keys: Mapping[int, Ed25519PublicKey],
        clock: Clock,
        services: Mapping[str, Ed25519PublicKey] | None = None,
    ) -> None:
        """`public_keys` are auth's, by their number; `services` those of services, by name."""
        self._public_keys = public_keys
        self._services = services or {}
        self._clock = clock
        # A signature stays right for ever, and a busy key presents the same one many times: only
        # the expiry has to be looked at again.
        self._verified: LRUCache[str, Principal] = LRUCache(CACHED_PRINCIPALS)

    def verify(self, header: str) -> Principal:
        """The principal of a header's value.

        Raises ApiError(PRINCIPAL_INVALID) when it is missing, malformed, not signed by a known key
        or expired, and never says which.
        """
        principal = self._verified.get(header) or self._open(header)
        if principal.expire_seconds <= self._clock().timestamp():
            raise _invalid()
        self._verified[header] = principal
        return principal

    def _open(self, header: str) -> Principal:
        try:
            signed = SignedPrincipal.FromString(base64.b64decode(header, b"-_", validate=True))
            by_auth = not signed.service
            key = (
                self._public_keys[signed.signing_key] if by_auth else self._services[signed.service]
            )
            key.verify(signed.signature, CONTEXT + signed.principal)
            principal = Principal.FromString(signed.principal)
            own_name = principal.audience, principal.subject
            if not by_auth and own_name != (Audience.SERVICE, signed.service):
                raise _invalid()
            return principal
        except (ValueError, DecodeError, KeyError, InvalidSignature):
            raise _invalid() from None


def _invalid() -> ApiError:
    return ApiError(
        Reason.PRINCIPAL_INVALID,
        "This service is called through the edge: the call carries no valid principal.",
    )
