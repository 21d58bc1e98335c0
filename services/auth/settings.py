"""The settings of auth: F2H_AUTH_*, and files for what is secret."""

from datetime import UTC, datetime
from typing import Annotated

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pydantic import (
    AwareDatetime,
    BaseModel,
    Field,
    SecretStr,
    ValidationInfo,
    field_validator,
)
from pydantic_settings import SettingsConfigDict

from services.auth.keys.ring import Dated
from services.runtime.settings import Address, DatabaseUrl, Key, KeyNumber, ServiceSettings

_URL = r"^https?://[^/?#@\s]+(/[^?#\s]*)?$"


class DatedKey(BaseModel):
    """A key, and from when on it is used for what is new. Before, it is only known."""

    key: Key
    use_from: AwareDatetime = datetime.fromtimestamp(0, UTC)


Keys = Annotated[dict[KeyNumber, DatedKey], Field(min_length=1)]
"""Numbered keys. The one in use is the highest number whose time has come."""


class AuthSettings(ServiceSettings):
    """What auth can be told."""

    model_config = SettingsConfigDict(env_prefix="F2H_AUTH_")

    listen: Address = "127.0.0.1:50051"
    database_url: DatabaseUrl = "sqlite:///.run/auth.db"
    """"sqlite:///FILE" or "postgresql://USER@HOST/NAME"."""
    server_ops: Address = "127.0.0.1:50052"
    public_url: str = Field("http://127.0.0.1:8000", pattern=_URL)
    """Where browsers find the API and the console. With https the session's cookie is Secure."""

    peppers: Keys
    """Secret. {"NUMBER": {"key": 32 bytes, base64, "use_from": time}}: the peppers of digests of
    keys, sessions and recovery codes."""
    signing_keys: Keys
    """Secret. The Ed25519 keys that principals and tokens are signed with, in the same form."""
    sealing_keys: dict[KeyNumber, Key] = Field(min_length=1)
    """Secret. {"NUMBER": 32 bytes, base64}: what second factors and sign-ins under way are
    encrypted with; the highest number seals what is new."""
    principal_public_keys: dict[KeyNumber, Key] = Field(default_factory=dict)
    """Those of retired signing keys; the others are derived."""

    key_cache_size: int = Field(100_000, ge=1)
    key_cache_seconds: float = Field(0.5, ge=0, le=1)
    """How long a key or session that another process ended may still pass. A second at most:
    promised."""
    key_default_days: int = Field(0, ge=0, le=36500)
    """After how many days a key expires whose maker did not say; 0: never."""
    key_max_days: int = Field(0, ge=0, le=36500)
    """After how many days every key expires at the latest; 0: a key may live for ever."""
    failures_per_minute: int = Field(300, ge=1)
    """How many wrong keys and sessions an address may show a minute before it has to wait."""
    tokens_per_minute: int = Field(60, ge=1)
    """How many tokens one key may be exchanged for in a minute."""

    session_idle_seconds: int = Field(1800, ge=60)
    """After how long without a call a session ends."""
    session_seconds: int = Field(43200, ge=60)
    """After how long a session ends, however much it is used."""

    oidc_issuer: str = Field("", pattern=rf"{_URL}|^$")
    """The OpenID Connect provider to sign in with; empty: none."""
    oidc_client_id: str = Field("", validate_default=True)
    oidc_client_secret: SecretStr = SecretStr("")
    """Secret."""
    oidc_redirect_url: str = Field("", pattern=rf"{_URL}|^$")
    """Where the provider sends the browser back to, which has to be registered there; empty:
    `public_url`/console/."""

    @field_validator("oidc_client_id")
    @classmethod
    def _is_given_with_an_issuer(cls, client_id: str, info: ValidationInfo) -> str:
        if info.data.get("oidc_issuer") and not client_id:
            raise ValueError("is needed when oidc_issuer is given")
        return client_id

    def redirect_url(self) -> str:
        """Where the OpenID Connect provider sends the browser back to: the console, unless said."""
        return self.oidc_redirect_url or f"{self.public_url.rstrip('/')}/console/"

    def public_keys(self) -> dict[int, Ed25519PublicKey]:
        """The public keys that principals are verified with, the signing keys' too."""
        derived = {number: dated.key.public_key() for number, dated in self.private_keys().items()}
        return {**super().public_keys(), **derived}

    def private_keys(self) -> dict[int, Dated[Ed25519PrivateKey]]:
        """The signing keys, ready to sign with."""
        return {
            number: Dated(Ed25519PrivateKey.from_private_bytes(dated.key), dated.use_from)
            for number, dated in self.signing_keys.items()
        }

    def dated_peppers(self) -> dict[int, Dated[bytes]]:
        """The peppers."""
        return {number: Dated(dated.key, dated.use_from) for number, dated in self.peppers.items()}
