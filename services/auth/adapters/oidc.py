"""Signing in with an OpenID Connect provider: the authorization code flow with PKCE.

OpenID Connect Core 1.0, section 3.1; RFC 6749, section 4.1; RFC 7636.
"""

import asyncio
import hmac
import secrets
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from http.cookiejar import CookieJar, DefaultCookiePolicy
from ipaddress import ip_address
from typing import Any, Generic, TypeVar
from urllib.parse import quote_plus, urlsplit

import httpx2
import structlog
from authlib.integrations.httpx_client import AsyncOAuth2Client, OAuthError
from f2h.access.v1.reason_pb2 import Reason
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet
from pydantic import BaseModel

from services.auth.adapters.id_token import signing_keys, verified_claims
from services.auth.sign_in.identity import Identity
from services.runtime.clock import Clock
from services.runtime.errors import ApiError
from services.runtime.sealing import SealBroken, Sealer

DEADLINE_SECONDS = 10.0
"""For everything that one call asks of the provider. Less than the edge gives a call."""
_REQUEST_SECONDS = 5.0

_ATTEMPT_TIME = timedelta(minutes=10)
_KEPT_TIME = timedelta(hours=1)
"""How long what the provider publishes is believed without asking again."""

_SEALED_FOR = "oidc attempt"
_DISCOVERY = "/.well-known/openid-configuration"
_BUSY = 429

log = structlog.get_logger()


class NoIdentityProvider:
    """Implements IdentityProvider where none is set up."""

    async def begin(self) -> tuple[str, str]:
        """See IdentityProvider."""
        raise _not_set_up()

    async def finish(self, _attempt: str, _code: str, _state: str) -> Identity:
        """See IdentityProvider."""
        raise _not_set_up()

    async def close(self) -> None:
        """Nothing to close."""


class _Metadata(BaseModel):
    """What the provider tells of itself: OpenID Connect Discovery 1.0, section 3."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None = None


class _Attempt(BaseModel):
    """What is kept, sealed, by the browser while it is at the provider's."""

    state: str
    nonce: str
    verifier: str
    expire_seconds: int


class _Tokens(BaseModel):
    """What a code is exchanged for."""

    id_token: str
    access_token: str = ""


_Content = TypeVar("_Content")


@dataclass(frozen=True)
class _Kept(Generic[_Content]):
    content: _Content
    until: datetime


class OidcProvider:
    """Implements IdentityProvider with any provider that publishes a discovery document."""

    def __init__(
        self,
        *,
        issuer: str,
        client_id: str,
        client_secret: str,
        redirect_url: str,
        sealer: Sealer,
        clock: Clock,
        deadline_seconds: float = DEADLINE_SECONDS,
    ) -> None:
        """A client without a secret is a public one. Raises ValueError for an issuer that could be
        impersonated.
        """
        if not _is_trustworthy(issuer, loopback=True):
            raise ValueError("oidc_issuer: must begin with https://, except on loopback")
        self._issuer = issuer
        self._client_id = client_id
        self._redirect_url = redirect_url
        self._sealer = sealer
        self._clock = clock
        self._deadline_seconds = deadline_seconds
        # RFC 6749, section 2.3.1: both are form-encoded first.
        basic = httpx2.BasicAuth(quote_plus(client_id), quote_plus(client_secret))
        self._client_auth = basic if client_secret else None
        self._client = AsyncOAuth2Client(
            client_id,
            token_endpoint_auth_method="none",  # noqa: S106 - no password, and only without one
            redirect_uri=redirect_url,
            scope="openid email",
            code_challenge_method="S256",
            timeout=_REQUEST_SECONDS,
            follow_redirects=False,
            # One person's answer must not colour the next one's question.
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        )
        self._client.register_compliance_hook("access_token_response", _require_leisure)
        self._metadata: _Kept[_Metadata] | None = None
        self._keys: _Kept[KeySet] | None = None

    async def close(self) -> None:
        """Closes the connections to the provider."""
        await self._client.aclose()

    async def begin(self) -> tuple[str, str]:
        """See IdentityProvider."""
        attempt = _Attempt(
            state=secrets.token_urlsafe(32),
            nonce=secrets.token_urlsafe(32),
            verifier=secrets.token_urlsafe(48),
            expire_seconds=int((self._clock() + _ATTEMPT_TIME).timestamp()),
        )
        with _translated():
            async with asyncio.timeout(self._deadline_seconds):
                metadata = await self._published_metadata()
            url, _ = self._client.create_authorization_url(
                metadata.authorization_endpoint,
                state=attempt.state,
                nonce=attempt.nonce,
                code_verifier=attempt.verifier,
            )
        return url, self._sealed(attempt)

    async def finish(self, attempt: str, code: str, state: str) -> Identity:
        """See IdentityProvider."""
        begun = self._opened(attempt)
        same = hmac.compare_digest(begun.state.encode(), state.encode())
        if not same or begun.expire_seconds <= self._clock().timestamp():
            raise _failed()
        with _translated():
            async with asyncio.timeout(self._deadline_seconds):
                return await self._identity(begun, code)

    def _sealed(self, attempt: _Attempt) -> str:
        sealed = self._sealer.seal(_SEALED_FOR, attempt.model_dump_json().encode())
        return urlsafe_b64encode(sealed).rstrip(b"=").decode()

    def _opened(self, attempt: str) -> _Attempt:
        padded = attempt + "=" * (-len(attempt) % 4)
        try:
            sealed = b64decode(padded, altchars=b"-_", validate=True)
            return _Attempt.model_validate_json(self._sealer.open(_SEALED_FOR, sealed))
        except (ValueError, SealBroken):
            raise _failed() from None

    async def _identity(self, begun: _Attempt, code: str) -> Identity:
        metadata = await self._published_metadata()
        answer = await self._client.fetch_token(
            metadata.token_endpoint,
            grant_type="authorization_code",
            code=code,
            code_verifier=begun.verifier,
            auth=self._client_auth,
        )
        tokens = _Tokens.model_validate(answer)
        claims = await self._verified(tokens.id_token, begun.nonce, metadata)
        subject: str = claims["sub"]
        if not claims.get("email") and metadata.userinfo_endpoint and tokens.access_token:
            claims = await self._userinfo(metadata.userinfo_endpoint, tokens.access_token)
            # Section 5.3.2: an answer about another subject must not be used.
            if claims.get("sub") != subject:
                log.warning("userinfo of another subject")
                raise _failed()
        email = claims.get("email")
        return Identity(
            self._issuer,
            subject,
            email=email.lower() if isinstance(email, str) else "",
            email_verified=claims.get("email_verified") is True,
        )

    async def _verified(self, token: str, nonce: str, metadata: _Metadata) -> Mapping[str, Any]:
        def verify(keys: KeySet) -> Mapping[str, Any]:
            return verified_claims(
                token,
                keys,
                issuer=self._issuer,
                client_id=self._client_id,
                nonce=nonce,
                now=self._clock(),
            )

        try:
            return verify(await self._published_keys(metadata))
        except InvalidKeyIdError:
            # The provider may have begun to sign with a new key.
            self._keys = None
            return verify(await self._published_keys(metadata))

    async def _published_metadata(self) -> _Metadata:
        if self._metadata is None or self._metadata.until <= self._clock():
            content = await self._get(self._issuer.rstrip("/") + _DISCOVERY)
            metadata = _Metadata.model_validate(content)
            self._require_own(metadata)
            self._metadata = _Kept(metadata, self._clock() + _KEPT_TIME)
        return self._metadata.content

    async def _published_keys(self, metadata: _Metadata) -> KeySet:
        if self._keys is None or self._keys.until <= self._clock():
            keys = signing_keys(await self._get(metadata.jwks_uri))
            self._keys = _Kept(keys, self._clock() + _KEPT_TIME)
        return self._keys.content

    def _require_own(self, metadata: _Metadata) -> None:
        """Refuses what another provider tells (Discovery 1.0, section 4.3), and addresses that are
        easier to impersonate than the issuer.
        """
        if metadata.issuer != self._issuer:
            raise ValueError("the metadata of another issuer")
        loopback = urlsplit(self._issuer).scheme == "http"
        for url in (
            metadata.authorization_endpoint,
            metadata.token_endpoint,
            metadata.jwks_uri,
            metadata.userinfo_endpoint,
        ):
            if url and not _is_trustworthy(url, loopback=loopback):
                raise ValueError("an endpoint without https")

    async def _userinfo(self, url: str, access_token: str) -> Mapping[str, Any]:
        return await self._get(url, {"Authorization": f"Bearer {access_token}"})

    async def _get(self, url: str, headers: Mapping[str, str] | None = None) -> Mapping[str, Any]:
        response = await self._client.request("GET", url, withhold_token=True, headers=headers)
        response.raise_for_status()
        content = response.json()
        if not isinstance(content, dict):
            raise TypeError("not a JSON object")
        return content


@contextmanager
def _translated() -> Iterator[None]:
    """Turns what the libraries raise into what the caller is told."""
    try:
        yield
    except OAuthError as error:
        # An old or used code, but also a client that the provider does not know.
        log.warning("sign-in refused by the provider", error=str(error.error)[:64])
        raise _failed() from None
    except JoseError as error:
        log.warning("id token refused", error=error.error, claim=getattr(error, "claim", ""))
        raise _failed() from None
    except (httpx2.HTTPError, httpx2.InvalidURL, TimeoutError, ValueError, TypeError) as error:
        log.error("identity provider failed", error=type(error).__name__)
        text = "The OpenID Connect provider does not answer."
        raise ApiError(Reason.DEPENDENCY_UNAVAILABLE, text, retry_after_seconds=1) from None


def _require_leisure(response: httpx2.Response) -> httpx2.Response:
    """Keeps "not now", which some providers say in JSON, apart from a refusal."""
    if response.status_code == _BUSY:
        response.raise_for_status()
    return response


def _is_trustworthy(url: str, *, loopback: bool) -> bool:
    """Whether nobody can stand in for the host of a URL: https, or loopback if that is allowed."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    host = parts.hostname or ""
    if parts.scheme == "https":
        return host != ""
    return loopback and parts.scheme == "http" and _is_loopback(host)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _failed() -> ApiError:
    text = "Signing in with the OpenID Connect provider failed: begin again."
    return ApiError(Reason.SIGN_IN_FAILED, text)


def _not_set_up() -> ApiError:
    return ApiError(Reason.NOT_SET_UP, "No OpenID Connect provider is set up here.")
