"""The settings of auth: F2H_AUTH_*, and files for what is secret."""

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pydantic import BaseModel, Field
from pydantic_settings import SettingsConfigDict

from services.runtime.settings import Address, DatabaseUrl, Key, KeyNumber, ServiceSettings


class SigningKey(BaseModel):
    """The Ed25519 key that principals are signed with."""

    number: KeyNumber
    key: Key

    def private(self) -> Ed25519PrivateKey:
        """The key, ready to sign with."""
        return Ed25519PrivateKey.from_private_bytes(self.key)


class AuthSettings(ServiceSettings):
    """What auth can be told."""

    model_config = SettingsConfigDict(env_prefix="F2H_AUTH_")

    listen: Address = "127.0.0.1:50051"
    database_url: DatabaseUrl = "sqlite:///.run/auth.db"
    """"sqlite:///FILE" or "postgresql://USER@HOST/NAME"."""
    server_ops: Address = "127.0.0.1:50052"
    peppers: dict[KeyNumber, Key] = Field(min_length=1)
    """Secret. The numbered peppers of key digests, 32 bytes each, base64; the highest
    number is used for new keys."""
    principal_signing_key: SigningKey
    """Secret. {"number": …, "key": 32 bytes, base64}."""
    principal_public_keys: dict[KeyNumber, Key] = Field(default_factory=dict)
    """Those of earlier signing keys; the present one's is derived."""
    key_cache_size: int = Field(100_000, ge=1)
    key_cache_seconds: float = Field(0.5, ge=0, le=1)
    """How long a key that another process revoked may still pass. A second at most: promised."""

    def public_keys(self) -> dict[int, Ed25519PublicKey]:
        """The public keys, that of the signing key among them."""
        signing = self.principal_signing_key
        return {**super().public_keys(), signing.number: signing.private().public_key()}
