"""What every service can be told. A wrong value stops it at start, naming the field."""

import os
import re
import sys
from pathlib import Path
from typing import Annotated, Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pydantic import (
    AfterValidator,
    Base64Bytes,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from services.runtime import certificates
from services.runtime.clock import Clock, system_clock
from services.runtime.networks import parse_address
from services.runtime.principal import PrincipalVerifier

KEY_BYTES = 32
"""The size of every key here: Ed25519, AES-256, and what HMAC-SHA-256 deserves at least."""

DatabaseUrl = Annotated[str, Field(pattern="^(sqlite:///|postgresql://).")]
"""Where a service keeps its state."""


def _has_key_size(key: bytes) -> bytes:
    if len(key) != KEY_BYTES:
        raise ValueError(f"must be the base64 of {KEY_BYTES} bytes")
    return key


Key = Annotated[Base64Bytes, AfterValidator(_has_key_size)]
"""A key of 32 bytes, base64."""

HIGHEST_PORT = 65535

KeyNumber = Annotated[int, Field(ge=0, le=65535)]
"""Keys are numbered, so that they can be replaced without a gap."""

ServiceName = Annotated[str, Field(pattern="^[a-z][a-z_]{0,31}$")]

_HOST_AND_PORT = r"[A-Za-z0-9_.:\[\]-]+:[0-9]{1,5}"

Address = Annotated[str, Field(pattern=rf"^{_HOST_AND_PORT}$")]
"""A host and a port, "127.0.0.1:50051"."""


def _is_ip_and_port(text: str) -> str:
    if text:
        host, port = text.rpartition(":")[::2]
        right_port = port.isdecimal() and 0 < int(port) <= HIGHEST_PORT
        if parse_address(host.strip("[]")) is None or not right_port:
            raise ValueError("must be an IP address and a port, for instance 192.0.2.53:53")
    return text


IpAndPort = Annotated[str, AfterValidator(_is_ip_and_port)]
"""An IP address and a port, "192.0.2.53:53" or "[2001:db8::53]:53"; empty: none."""


def host_and_port(address: str) -> tuple[str, int]:
    """The two parts of an Address; an IPv6 address is without its brackets."""
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def is_on_this_machine(address: str) -> bool:
    """Whether what is said to an Address stays on this machine."""
    host = host_and_port(address)[0]
    parsed = parse_address(host)
    return host == "localhost" if parsed is None else parsed.is_loopback


SECRETS_DIR = os.environ.get("F2H_SECRETS_DIR", "/run/secrets")
"""Folder with one file a secret, named as the environment variable would be, in lower case."""


class Settings(BaseSettings):
    """Settings that name what is wrong with them."""

    @classmethod
    def load(cls) -> Self:
        """Reads the settings, or exits with status 2 and a line for each wrong field."""
        try:
            return cls()
        except ValidationError as error:
            faults = [(str(fault["loc"][0]), fault["msg"]) for fault in error.errors()]
        except SettingsError as error:
            # A value that should be JSON and is not. The library's text may hold the value.
            named = re.search(r'field "(\w+)"', str(error))
            faults = [(named[1] if named else "", "must be JSON")]
        prefix = cls.model_config.get("env_prefix", "")
        for field, text in faults:
            print(f"{prefix}{field.upper()}: {text}", file=sys.stderr)
        raise SystemExit(2)


class Reached(Settings):
    """How a service is reached. Its name is in the prefix: F2H_NAME_…"""

    model_config = SettingsConfigDict(extra="ignore", hide_input_in_errors=True)

    # Before the addresses, which are looked at with it.
    tls: Path | None = Field(None, validate_default=True)
    """The folder of its certificate, see services.runtime.certificates. None: it is called, and
    calls others, in the clear, on this machine alone."""
    listen: Address
    """Where its gRPC server listens."""

    @classmethod
    def name(cls) -> str:
        """What the service is called."""
        prefix = str(cls.model_config.get("env_prefix", ""))
        return prefix.removeprefix("F2H_").removesuffix("_").lower()

    @field_validator("tls")
    @classmethod
    def _is_its_own(cls, folder: Path | None) -> Path | None:
        if folder is not None:
            certificates.read(folder, system_clock(), certificates.service_uri(cls.name()))
        return folder

    @field_validator("listen", "auth", "server_ops", "security", check_fields=False)
    @classmethod
    def _is_not_in_the_clear(cls, address: str, info: ValidationInfo) -> str:
        if info.data.get("tls", ...) is None and not is_on_this_machine(address):
            raise ValueError("must be on this machine (127.0.0.1), unless tls is set")
        return address


class ServiceSettings(Reached):
    """The settings of a service: environment variables, and files for what is secret."""

    model_config = SettingsConfigDict(
        secrets_dir=SECRETS_DIR if os.path.isdir(SECRETS_DIR) else None,
    )

    principal_public_keys: dict[KeyNumber, Key]
    """The numbered Ed25519 public keys that principals are verified with, 32 bytes each, base64."""
    service_public_keys: dict[ServiceName, Key] = {}
    """The Ed25519 public keys of services that call in their own name, by the service's name."""
    log_level: str = Field("INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$")
    metrics: IpAndPort = ""
    """Where Prometheus reads its figures, at /metrics: reachable for it alone, since it asks for no
    credential. Empty: nowhere."""
    traces: str = Field("", pattern=rf"^({_HOST_AND_PORT})?$")
    """The collector that spans are sent to, OTLP over gRPC; empty: none."""
    traces_ratio: float = Field(1.0, ge=0, le=1)
    """The part of those traces that is sent which begin in this service; of calls the edge says."""
    drain_seconds: float = Field(5.0, ge=0, le=300)
    """How long calls under way may finish after SIGTERM."""

    def public_keys(self) -> dict[int, Ed25519PublicKey]:
        """The public keys of auth, ready to verify with."""
        return {
            number: Ed25519PublicKey.from_public_bytes(key)
            for number, key in self.principal_public_keys.items()
        }

    def verifier(self, clock: Clock) -> PrincipalVerifier:
        """What verifies principals."""
        services = {
            name: Ed25519PublicKey.from_public_bytes(key)
            for name, key in self.service_public_keys.items()
        }
        return PrincipalVerifier(self.public_keys(), clock, services)
