"""The tables of security."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, Column, DateTime, String, UniqueConstraint
from sqlmodel import Field, SQLModel


def _time(*, nullable: bool = False, index: bool = False) -> Any:
    return Field(sa_column=Column(DateTime(timezone=True), nullable=nullable, index=index))


class GatewayRow(SQLModel, table=True):
    """A gateway."""

    __tablename__ = "gateway"

    name: str = Field(primary_key=True)
    region: str
    networks: list[str] = Field(sa_column=Column(JSON, nullable=False))
    ssh: dict[str, Any] | None = Field(sa_column=Column(JSON(none_as_null=True), nullable=True))
    socket: str
    time_zone: str
    mail_gate: bool


class BanCountRow(SQLModel, table=True):
    """How often a jail was seen to block an address."""

    __tablename__ = "ban_count"

    gateway: str = Field(primary_key=True)
    jail: str = Field(primary_key=True)
    ip: str = Field(primary_key=True)
    times: int
    since: datetime = _time(index=True)
    """When the newest of the bans began."""


class SpamBlockRow(SQLModel, table=True):
    """A port-25 block; one that was lifted is remembered, since the next wait depends on it."""

    __tablename__ = "spam_block"

    ip: str = Field(primary_key=True)
    state: str = Field(index=True)
    reason: str
    blocked_by: str
    block_time: datetime = _time()
    unblock_time: datetime = _time()
    times: int
    lift_time: datetime | None = _time(nullable=True)
    operation: UUID | None = None
    """The unblocking under way."""


class UnblockingRow(SQLModel, table=True):
    """An operation that unblocks an address."""

    __tablename__ = "unblocking"
    # NULLs are distinct: only given request ids are unique, each caller's own.
    __table_args__ = (
        UniqueConstraint("account", "caller", "request_id", name="unblocking_request_id"),
    )

    id: UUID = Field(primary_key=True)
    ip: str
    hostname: str
    account: str
    caller: str = Field(sa_column=Column(String, nullable=False, server_default=""))
    caller_kind: str = Field(
        sa_column=Column(String, nullable=False, server_default="AUDIENCE_UNSPECIFIED")
    )
    request_id: str | None = None
    state: str = Field(index=True)
    failure: dict[str, Any] | None = Field(sa_column=Column(JSON(none_as_null=True), nullable=True))
    create_time: datetime = _time()
    update_time: datetime = _time()
    end_time: datetime | None = _time(nullable=True)


class LookUpRow(SQLModel, table=True):
    """What the sweep found an address listed on."""

    __tablename__ = "look_up"

    ip: str = Field(primary_key=True)
    lists: list[str] = Field(sa_column=Column(JSON, nullable=False))
    due_time: datetime = _time(index=True)
