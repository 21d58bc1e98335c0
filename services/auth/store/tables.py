"""The tables of auth."""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    UniqueConstraint,
)
from sqlmodel import Field, SQLModel


def _time(*, nullable: bool = False) -> Any:
    return Field(sa_column=Column(DateTime(timezone=True), nullable=nullable))


def _list() -> Any:
    return Field(sa_column=Column(JSON, nullable=False))


def _user() -> Any:
    return Field(
        sa_column=Column(ForeignKey("user_account.id", ondelete="CASCADE"), nullable=False)
    )


class AccountRow(SQLModel, table=True):
    """A customer, or the NOC."""

    __tablename__ = "account"

    id: str = Field(primary_key=True)
    kind: str
    create_time: datetime = _time()


class UserRow(SQLModel, table=True):
    """A person who signs in. Neither password nor second factor is here in the clear."""

    __tablename__ = "user_account"
    __table_args__ = (
        Index("user_of_account", "account", "email"),
        UniqueConstraint("oidc_issuer", "oidc_subject", name="user_of_oidc"),
    )

    id: str = Field(primary_key=True)
    account: str = Field(sa_column=Column(ForeignKey("account.id"), nullable=False))
    email: str = Field(unique=True)
    role: str
    disabled: bool
    create_time: datetime = _time()
    password: str | None
    """Argon2id, in its encoded form."""
    totp: bytes | None
    """The shared secret, sealed for the user's id."""
    totp_confirmed: bool
    totp_step: int = Field(sa_column=Column(BigInteger, nullable=False))
    """The newest time step (RFC 6238) whose code was used: none is good twice."""
    recovery: list[str] = _list()
    """Digests of the recovery codes that are left, hexadecimal."""
    oidc_issuer: str | None
    oidc_subject: str | None


class FormerUserRow(SQLModel, table=True):
    """A person who was removed: the audit trail names what they did by the id, and is for ever."""

    __tablename__ = "former_user"

    id: str = Field(primary_key=True)
    account: str
    email: str


class SessionRow(SQLModel, table=True):
    """A session. Its token is not here: a digest of its secret is."""

    __tablename__ = "user_session"
    __table_args__ = (Index("session_of_user", "user_id"), Index("session_end", "expire_time"))

    id: str = Field(primary_key=True)
    user_id: str = _user()
    pepper: int
    digest: bytes
    create_time: datetime = _time()
    last_used_time: datetime = _time()
    expire_time: datetime = _time()


class SignInThrottleRow(SQLModel, table=True):
    """How often signing in failed lately, for a user or an address."""

    __tablename__ = "sign_in_throttle"

    subject: str = Field(primary_key=True)
    failures: int
    last_time: datetime = _time()


class ApiKeyRow(SQLModel, table=True):
    """A key. Its secret is not here: a digest of it is."""

    __tablename__ = "api_key"
    __table_args__ = (Index("api_key_of_account", "account", "create_time", "id"),)

    id: str = Field(primary_key=True)
    audience: str
    account: str
    label: str
    capabilities: list[str] = _list()
    servers: list[str] = _list()
    cidrs: list[str] = _list()
    pepper: int
    digest: bytes
    policy_digest: bytes
    create_time: datetime = _time()
    expire_time: datetime | None = _time(nullable=True)
    revoke_time: datetime | None = _time(nullable=True)
    last_used_at: datetime | None = _time(nullable=True)
    last_used_ip: str = ""
    replaces: str = ""
    replaced_by: str = ""
    certificate: str | None = Field(default=None, unique=True)
    """Whom the client certificate of a NOC service names, for one that shows no secret."""


class KeyRequestRow(SQLModel, table=True):
    """A request that made a key, by the id that its caller gave it. The secret is not here."""

    __tablename__ = "key_request"

    caller: str = Field(primary_key=True)
    request_id: str = Field(primary_key=True)
    digest: bytes
    """Of what was asked for."""
    key_id: str
    create_time: datetime = _time()


class KeyUsageRow(SQLModel, table=True):
    """How often a key used a capability in one hour."""

    __tablename__ = "key_usage"

    key_id: str = Field(primary_key=True)
    hour: int = Field(primary_key=True)
    """Hours since the Unix epoch."""
    capability: str = Field(primary_key=True)
    calls: int


class PolicyRow(SQLModel, table=True):
    """A policy, which never changes."""

    __tablename__ = "policy"

    digest: bytes = Field(primary_key=True)
    content: bytes
    use_time: datetime = _time()
    """When it was last given to a key or a token. One that neither has is forgotten later."""


class AuditRow(SQLModel, table=True):
    """An entry of the audit trail: an attempt, an outcome, or both at once. Never changed.

    `content` is what is true; the other columns repeat it for queries, and are checked against it.
    """

    __tablename__ = "audit"
    __table_args__ = (
        Index("audit_of_account", "account", "attempt", "sequence"),
        UniqueConstraint("attempt", name="audit_outcome_once"),
    )

    sequence: int = Field(
        sa_column=Column(
            BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False
        )
    )
    attempt: int | None = Field(sa_column=Column(BigInteger, nullable=True))
    """For an outcome: the sequence of its attempt. None for what is an attempt, or both."""
    time: datetime = _time()
    account: str
    subject: str
    method: str
    resource: str
    outcome: int
    """f2h.auth.v1.AuditRecord.Outcome."""
    content: bytes
    """A serialized f2h.auth.v1.AuditRecord, deterministic."""
    hash: bytes
    """SHA-256 over the hash before, and this entry."""


class AuditHeadRow(SQLModel, table=True):
    """The newest entry of the audit trail: one row, which makes those who append wait in line."""

    __tablename__ = "audit_head"

    id: int = Field(primary_key=True)
    sequence: int = Field(sa_column=Column(BigInteger, nullable=False))
    hash: bytes
