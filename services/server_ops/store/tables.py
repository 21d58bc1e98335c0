"""The tables of server_ops."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    DateTime,
    Index,
    String,
    UniqueConstraint,
    literal_column,
    text,
)
from sqlmodel import Field, SQLModel, col

from services.server_ops.operations.states import HOLDING

_HOLDING = text("state IN ({})".format(", ".join(f"'{state}'" for state in HOLDING)))
"""The condition of the index, in literals."""


def _time(*, nullable: bool = False, index: bool = False) -> Any:
    return Field(sa_column=Column(DateTime(timezone=True), nullable=nullable, index=index))


class ServerRow(SQLModel, table=True):
    """A server. Its BMC credentials are sealed, see services.runtime.sealing."""

    __tablename__ = "server"

    hostname: str = Field(primary_key=True)
    account: str = Field(index=True)
    ips: list[str] = Field(sa_column=Column(JSON, nullable=False))
    datacenter: str
    mac: str = Field(index=True)
    uuid: str = Field(index=True)
    """Empty: not known."""
    uefi: bool
    bmc_protocol: str
    bmc_address: str
    bmc_port: int
    bmc_credentials: bytes
    registration: int
    """Counts up whenever the server is registered again."""
    bmc_refused: int | None
    """The registration whose login the BMC refused."""
    create_time: datetime = _time()


class ServerIpRow(SQLModel, table=True):
    """Which server an address belongs to: one at most."""

    __tablename__ = "server_ip"

    ip: str = Field(primary_key=True)
    hostname: str = Field(foreign_key="server.hostname", index=True, ondelete="CASCADE")
    failover: bool = False
    """Whether it can be moved; the others are those of ServerRow.ips."""
    move: UUID | None = None
    """The operation that moves it, or of which it is not known where it moved it to."""


class RouterRow(SQLModel, table=True):
    """A router of failover addresses."""

    __tablename__ = "router"

    name: str = Field(primary_key=True)
    address: str
    port: int
    user: str
    host_key: str


class NetworkRow(SQLModel, table=True):
    """A network that addresses are in."""

    __tablename__ = "network"

    name: str = Field(primary_key=True)
    cidr: str = Field(unique=True)
    gateway: str
    router: str | None = Field(foreign_key="router.name")


class UplinkRow(SQLModel, table=True):
    """The port of a switch that a server is connected to. The login is sealed."""

    __tablename__ = "uplink"

    hostname: str = Field(primary_key=True, foreign_key="server.hostname", ondelete="CASCADE")
    switch_address: str
    switch_port: int
    interface: int
    login: bytes


class MonitoredRow(SQLModel, table=True):
    """What was measured of a server last, and when that is due again; one for each server."""

    __tablename__ = "monitored"

    hostname: str = Field(primary_key=True, foreign_key="server.hostname", ondelete="CASCADE")
    due_time: datetime = _time(index=True)
    rolled_until: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))
    """In seconds since 1970, a whole hour: what was measured before is rolled up."""
    time: datetime | None = _time(nullable=True)
    """Null: it was not measured yet."""
    sensors: bytes = b""
    power: str = ""
    seconds: float = 0


class ChunkRow(SQLModel, table=True):
    """What was measured of a server in a span of time; see monitoring/chunk.py."""

    __tablename__ = "chunk"

    hostname: str = Field(primary_key=True, foreign_key="server.hostname", ondelete="CASCADE")
    step: int = Field(primary_key=True)
    """Seconds from one point to the next."""
    start: int = Field(sa_column=Column(BigInteger, primary_key=True))
    """In seconds since 1970."""
    content: bytes


class BmcStatusRow(SQLModel, table=True):
    """What is known of a server's BMC; there is one for each server."""

    __tablename__ = "bmc_status"

    hostname: str = Field(primary_key=True, foreign_key="server.hostname", ondelete="CASCADE")
    reachability: str | None = None
    trouble: str | None = None
    power: str
    contact_time: datetime | None = _time(nullable=True)
    check_time: datetime | None = _time(nullable=True)
    failures: int = 0
    identity: dict[str, Any] | None = Field(sa_column=Column(JSON, nullable=True))
    identify_time: datetime | None = _time(nullable=True)
    expected_power: str | None = None
    drift_time: datetime | None = _time(nullable=True)
    due_time: datetime = _time(index=True)
    """When it is asked next."""


class InstanceRow(SQLModel, table=True):
    """A process of this service, and until when it is sure to live."""

    __tablename__ = "instance"

    name: str = Field(primary_key=True)
    expire_time: datetime = _time()


class BmcLeaseRow(SQLModel, table=True):
    """Which process talks to a BMC. After `expire_time` another one may."""

    __tablename__ = "bmc_lease"

    address: str = Field(primary_key=True)
    port: int = Field(primary_key=True)
    instance: str = Field(index=True)
    expire_time: datetime = _time()
    wanted: bool = False
    """Another process waits for it."""


class OperationRow(SQLModel, table=True):
    """An operation."""

    __tablename__ = "operation"
    __table_args__ = (
        # The lock of a server: one operation that has not ended.
        Index(
            "operation_holds_server",
            "server",
            unique=True,
            sqlite_where=_HOLDING,
            postgresql_where=_HOLDING,
        ),
        # NULLs are distinct: only given request ids are unique, each caller's own.
        UniqueConstraint("account", "key_id", "request_id", name="operation_request_id"),
    )

    id: UUID = Field(primary_key=True)
    kind: str
    server: str
    account: str
    key_id: str
    """Id of the caller, also where that is a person: named as when only keys could ask, so that
    processes of the version before still run."""
    caller_kind: str = Field(
        sa_column=Column(String, nullable=False, server_default="AUDIENCE_UNSPECIFIED")
    )
    parameters: dict[str, str] = Field(sa_column=Column(JSON, nullable=False))
    request_id: str | None
    state: str = Field(index=True)
    steps: list[dict[str, Any]] = Field(sa_column=Column(JSON, nullable=False))
    failure: dict[str, Any] | None = Field(sa_column=Column(JSON, nullable=True))
    result: dict[str, str] = Field(sa_column=Column(JSON, nullable=False))
    create_time: datetime = _time()
    update_time: datetime = _time()
    end_time: datetime | None = _time(nullable=True)
    sent: dict[str, str] = Field(sa_column=Column(JSON, nullable=False))


HOLDS = col(OperationRow.state).in_([literal_column(f"'{state}'") for state in HOLDING])
"""Whether an operation holds its server. In literals: with parameters, SQLite cannot see that this
is the condition of the index."""


class WebhookRow(SQLModel, table=True):
    """A webhook. Its secrets are sealed, see services.runtime.sealing."""

    __tablename__ = "webhook"
    __table_args__ = (UniqueConstraint("account", "place", name="webhook_place"),)

    id: UUID = Field(primary_key=True)
    account: str
    place: int
    """One of the places that an account has for webhooks, which are as many as it may have."""
    url: str
    label: str
    event_types: list[str] = Field(sa_column=Column(JSON, nullable=False))
    enabled: bool
    disabled_reason: str
    secret: bytes
    old_secret: bytes | None
    old_secret_expire_time: datetime | None = _time(nullable=True)
    failing_since: datetime | None = _time(nullable=True)
    create_time: datetime = _time()


class WebhookEventRow(SQLModel, table=True):
    """An event, with the message as it is signed and sent, byte for byte."""

    __tablename__ = "webhook_event"

    id: str = Field(primary_key=True)
    type: str
    body: str
    create_time: datetime = Field(
        sa_column=Column(DateTime(timezone=True), nullable=False, index=True)
    )


class WebhookDeliveryRow(SQLModel, table=True):
    """An event on its way to a webhook."""

    __tablename__ = "webhook_delivery"
    __table_args__ = (
        Index("webhook_delivery_due", "state", "next_attempt_time"),
        Index("webhook_delivery_newest", "webhook_id", "create_time"),
    )

    id: UUID = Field(primary_key=True)
    webhook_id: UUID = Field(foreign_key="webhook.id", ondelete="CASCADE")
    event_id: str = Field(foreign_key="webhook_event.id", index=True, ondelete="CASCADE")
    state: str
    attempts: int
    last_status: int
    last_reason: str
    create_time: datetime = _time()
    last_attempt_time: datetime | None = _time(nullable=True)
    next_attempt_time: datetime | None = _time(nullable=True)
    claim: UUID | None
    claim_expire_time: datetime | None = _time(nullable=True)


class ImageRow(SQLModel, table=True):
    """An image that machines boot."""

    __tablename__ = "image"

    name: str = Field(primary_key=True)
    kind: str
    kernel: dict[str, str] = Field(sa_column=Column(JSON, nullable=False))
    initrd: dict[str, str] = Field(sa_column=Column(JSON, nullable=False))
    command_line: str
    update_time: datetime = _time()


class TemplateRow(SQLModel, table=True):
    """An operating system that can be installed."""

    __tablename__ = "template"

    name: str = Field(primary_key=True)
    os: str
    version: str
    image: str
    command_line: str
    documents: list[dict[str, str]] = Field(sa_column=Column(JSON, nullable=False))
    disk_image: dict[str, str] | None = Field(sa_column=Column(JSON, nullable=True))
    layouts: list[dict[str, str]] = Field(sa_column=Column(JSON, nullable=False))
    update_time: datetime = _time()


class NetbootRow(SQLModel, table=True):
    """What a server boots at every start, and what is planned for one start; a server without a
    row boots its disk, and never asked.
    """

    __tablename__ = "netboot"

    hostname: str = Field(primary_key=True, foreign_key="server.hostname", ondelete="CASCADE")
    boot_type: str
    image: str = ""
    kernel: str = ""
    planned: dict[str, str] | None = Field(sa_column=Column(JSON(none_as_null=True), nullable=True))
    last_boot_type: str | None = None
    last_boot_time: datetime | None = _time(nullable=True)


class BootRow(SQLModel, table=True):
    """A boot that an operation planned. Who may log in to its system is sealed."""

    __tablename__ = "boot"

    operation: UUID = Field(primary_key=True)
    hostname: str = Field(foreign_key="server.hostname", index=True, ondelete="CASCADE")
    boot_type: str
    image: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
    expire_time: datetime = _time()
    token_digest: bytes = Field(index=True)
    report_digest: bytes = Field(index=True)
    over: bool
    contact_time: datetime | None = _time(nullable=True)
    progress: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
    installation: dict[str, Any] | None = Field(sa_column=Column(JSON, nullable=True))
    first_boot_digest: bytes = Field(index=True)
    access: bytes


class RescueRow(SQLModel, table=True):
    """Where a server stands with its rescue system; without a row it was never in it."""

    __tablename__ = "rescue"

    hostname: str = Field(primary_key=True, foreign_key="server.hostname", ondelete="CASCADE")
    state: str
    before: str
    """Where it stood before the operation."""
    operation: UUID
    """The operation that led here."""
    entered_by: UUID
    """The operation that booted the rescue system last."""
