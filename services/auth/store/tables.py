"""The tables of auth."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Column, DateTime, Index
from sqlmodel import Field, SQLModel


def _time(*, nullable: bool = False) -> Any:
    return Field(sa_column=Column(DateTime(timezone=True), nullable=nullable))


def _list() -> Any:
    return Field(sa_column=Column(JSON, nullable=False))


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


class PolicyRow(SQLModel, table=True):
    """A policy, which never changes."""

    __tablename__ = "policy"

    digest: bytes = Field(primary_key=True)
    content: bytes
