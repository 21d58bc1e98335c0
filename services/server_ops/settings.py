"""The settings of server_ops: F2H_SERVER_OPS_*, and files for what is secret."""

import base64
import socket
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, FilePath, ValidationInfo, field_validator, model_validator
from pydantic_settings import SettingsConfigDict

from services.runtime.settings import (
    Address,
    DatabaseUrl,
    IpAndPort,
    Key,
    KeyNumber,
    ServiceSettings,
)
from services.runtime.ssh import PrivateKey

SHORTEST_TSIG_KEY = 16
"""Bytes; RFC 8945 section 8 asks for as many as the hash has, and some servers make fewer."""


class ServerOpsSettings(ServiceSettings):
    """What server_ops can be told."""

    model_config = SettingsConfigDict(env_prefix="F2H_SERVER_OPS_")

    listen: Address = "127.0.0.1:50052"
    database_url: DatabaseUrl = "sqlite:///.run/server_ops.db"
    durable_url: str = ""
    """Where workflows are kept; by default beside the database: a file of its own for SQLite, a
    schema of its own for PostgreSQL."""
    auth: Address = "127.0.0.1:50051"
    bmc_keys: dict[KeyNumber, Key] = Field(min_length=1)
    """Secret. The numbered keys that BMC credentials and webhooks' secrets are sealed with, each 32
    bytes, base64."""
    instance: str = Field(
        default_factory=socket.gethostname, pattern="^[A-Za-z0-9_.-]{1,64}$", validate_default=True
    )
    """Names this process, as no other does that shares its database: by default the host's name,
    which a container has of its own. Work under way is taken up at once by the process of the same
    name, and by another one when that stays away."""
    bmc_workers: int = Field(2, ge=1, le=64)
    """How many processes talk to BMCs; each BMC belongs to one of them."""
    redfish_trust: Literal["system", "anybody"] | FilePath = "system"
    """Who signs the certificates of BMCs that speak Redfish, which must name the BMC's address:
    "system": whom this machine trusts; the file of other authorities, PEM; "anybody": whoever
    answers there is believed, and gets the password."""
    operation_days: float = Field(30, ge=1, le=3650)
    """For so many days an operation is kept after its end. A request id is free again then."""
    sync_seconds: float = Field(60, ge=1, le=86400)
    """Between two regular checks of one BMC's power and reachability."""
    sync_at_once: int = Field(64, ge=1, le=10000)
    """How many BMCs are checked at once."""
    bmc_failing_after: int = Field(3, ge=1, le=1000)
    """After so many checks in a row without an answer a BMC is flagged as failing."""
    monitoring_at_once: int = Field(128, ge=1, le=10000)
    """How many servers are measured at once."""
    monitoring_icmp: bool = True
    """Whether servers are asked by ICMP echo whether they can be reached."""
    monitoring_tcp_port: int = Field(22, ge=0, le=65535)
    """The port at which servers are to accept TCP connections; 0: that is not tried."""
    restart_seconds: float = Field(180, gt=0, le=3600)
    """How long a machine may take to show that it restarted."""
    restart_poll_seconds: float = Field(1.0, gt=0, le=60)
    """Between two looks at a machine that restarts."""
    provisioning_url: Annotated[str, Field(pattern=r"^https?://[A-Za-z0-9.:\[\]-]+$")] = (
        "http://127.0.0.1:8002"
    )
    """Where machines that boot reach the provisioning listener: an address, since they may have no
    resolver."""
    images: Path = Path(".run/images")
    """The folder with the files of images: the root of the image server."""
    rescue_image: str = "rescue"
    """Name of the image that is booted when a caller names none."""
    rescue_seconds: float = Field(900, gt=0, le=7200)
    """How long a machine may take until its rescue system, or one just installed, calls home."""
    install_seconds: float = Field(3600, gt=0, le=86400)
    """How long a machine may take from its restart until its installer is done."""
    heartbeat_seconds: float = Field(10, gt=0, le=300)
    """How often a rescue system or an installer is to say that it is still there."""
    ssh_key: PrivateKey = ""
    """Secret. The private key, as OpenSSH writes it, that routers let us in with; empty: none, and
    no address can be moved."""
    router_command: str = Field("ip", pattern=r"^[A-Za-z0-9/._ -]{1,100}$")
    """What runs iproute2 on a router, for instance "sudo ip"."""
    router_seconds: float = Field(5.0, gt=0, le=60)
    """How long a router may take to let us in, and as long to answer."""
    dns_server: IpAndPort = ""
    """The authoritative server of the reverse zones, which takes DNS UPDATE (RFC 2136): an IP
    address and a port. Empty: none, and no PTR record can be set."""
    dns_key_name: str = Field("f2hcloud", pattern=r"^[A-Za-z0-9_.-]{1,253}$")
    """Name of the TSIG key that it shares with us."""
    dns_key_algorithm: Literal["hmac-sha256", "hmac-sha384", "hmac-sha512"] = "hmac-sha256"
    """Algorithm of the TSIG key (RFC 8945 section 6)."""
    dns_key: str = Field("", validate_default=True)
    """Secret. The TSIG key, base64. Required with dns_server."""
    dns_resolver: IpAndPort = ""
    """The resolver that names are looked up with, an IP address and a port; empty: this
    machine's."""
    ptr_ttl_seconds: int = Field(3600, ge=60, le=86400)
    """For how long resolvers may keep a PTR record."""
    ptr_forward_required: bool = False
    """Whether a name must lead back to the address (FCrDNS) before it is set as its PTR record."""
    webhook_private_networks: tuple[IPv4Network | IPv6Network, ...] = ()
    """Networks that webhooks may be sent to although they are not public, in CIDR notation."""
    webhook_allow_http: bool = False
    """Whether webhooks may be sent without TLS."""
    webhook_ports: frozenset[Annotated[int, Field(ge=1, le=65535)]] = frozenset({443, 8443})
    """The ports that webhooks may be sent to; none: every port."""
    webhook_at_once: int = Field(64, ge=1, le=1000)
    """How many deliveries may be under way."""
    webhook_timeout_seconds: float = Field(15.0, gt=0, le=60)
    """How long a receiver may take."""
    webhook_poll_seconds: float = Field(1.0, gt=0, le=60)
    """Between two looks at what is to be delivered."""

    @property
    def operation_age(self) -> timedelta:
        """For how long an operation is kept after its end."""
        return timedelta(days=self.operation_days)

    @field_validator("dns_key")
    @classmethod
    def _is_there_and_long(cls, key: str, info: ValidationInfo) -> str:
        if info.data.get("dns_server") and not _is_tsig_key(key):
            raise ValueError("must be the base64 of 16 bytes at least, since dns_server is set")
        return key

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if not self.durable_url:
            stem = self.database_url.removesuffix(".db")
            sqlite = self.database_url.startswith("sqlite")
            self.durable_url = f"{stem}-workflows.db" if sqlite else self.database_url
        return self


def _is_tsig_key(text: str) -> bool:
    try:
        return len(base64.b64decode(text, validate=True)) >= SHORTEST_TSIG_KEY
    except ValueError:
        return False
