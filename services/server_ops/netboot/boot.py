"""One boot of an operation: its tokens, and what the booted system reported."""

import hashlib
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol
from uuid import UUID

from services.server_ops.netboot.image import Image, ImageFile
from services.server_ops.netboot.netboot import BootType, LastBoot, Netboot

LOG_LINES = 200
"""How many lines of a booted system's log are kept, the last ones."""

_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]")
"""What a terminal would take for commands."""


class Event(StrEnum):
    """What a booted system reports."""

    ALIVE = "ALIVE"
    READY = "READY"
    DONE = "DONE"
    FAILED = "FAILED"


@dataclass(frozen=True)
class Report:
    """What a booted system says of itself, once."""

    event: Event
    ssh_host_keys: tuple[str, ...] = ()
    percent: int = 0
    message: str = ""
    log: tuple[str, ...] = ()


@dataclass(frozen=True)
class Progress:
    """All that a booted system has reported."""

    ssh_host_keys: tuple[str, ...] = ()
    percent: int = 0
    message: str = ""
    log: tuple[str, ...] = ()
    ready_time: datetime | None = None
    done_time: datetime | None = None
    failed_time: datetime | None = None
    begin_time: datetime | None = None
    first_report_time: datetime | None = None
    first_boot_time: datetime | None = None
    """When the installed system called home."""


@dataclass(frozen=True)
class Installation:
    """What an installer is to do, as its template was when the boot was planned."""

    template: str
    """Name of the template."""
    command_line: str
    """Added to the kernel's, after it is rendered."""
    documents: Mapping[str, str]
    """What the installer reads, by name, before they are rendered."""
    names: Mapping[str, Any]
    """What is known to both when they are rendered, beside the URLs."""
    disk_image: ImageFile | None = None
    disk_image_bytes: int = 0

    @property
    def calls_home(self) -> bool:
        """Whether the installed system is told where to call home."""
        return any("first_boot_url" in content for content in self.documents.values())


@dataclass(frozen=True)
class Access:
    """Who may log in to a booted system as root, and what else is secret. Kept sealed."""

    ssh_keys: tuple[str, ...] = ()
    password_hash: str = ""
    """As crypt(3) has it; empty: none."""
    password: str = ""
    """In the clear, until it was read; empty: none, or it was."""
    first_boot_token: str = ""
    """What the installed system shows when it calls home; empty: nothing is installed."""


@dataclass(frozen=True)
class Boot:
    """A boot that an operation planned."""

    operation: UUID
    hostname: str
    boot_type: BootType
    image: Image
    """As it was when the boot was planned."""
    expire_time: datetime
    """Until then the machine may begin it."""
    token_digest: bytes = b""
    """Of the token in the newest script; empty: none was given."""
    report_digest: bytes = b""
    """Of what the booted system is known by; empty: none has begun."""
    over: bool = False
    """Its system is not wanted: the operation failed, or it is to be gone."""
    contact_time: datetime | None = None
    """When the booted system was heard of last, also when that should not have been."""
    progress: Progress = field(default_factory=Progress)
    installation: Installation | None = None
    """What is installed; None: nothing."""
    first_boot_digest: bytes = b""
    """Of what the installed system shows when it calls home."""


class TokenInvalid(Exception):  # noqa: N818 - it says what happened
    """Nobody's token, or one whose time is over."""


class TokenUsed(Exception):  # noqa: N818
    """Another system has begun with this token."""


def new_token() -> str:
    """A token that nobody can guess: 256 bits."""
    return secrets.token_urlsafe(32)


def digest(token: str) -> bytes:
    """What is kept of a token. It is as long as a hash, so a plain hash hides it."""
    return hashlib.sha256(token.encode()).digest()


def scripted(boot: Boot, token: str) -> Boot:
    """The boot whose newest script holds this token."""
    return replace(boot, token_digest=digest(token))


def awaited(boot: Boot, now: datetime) -> bool:
    """Whether a machine that asks is told to boot it."""
    return not boot.over and not boot.report_digest and now < boot.expire_time


def begun(boot: Boot, report_token: str, now: datetime) -> Boot:
    """The boot that a system has begun. Raises TokenInvalid and TokenUsed."""
    known_by = digest(report_token)
    if boot.report_digest and boot.report_digest != known_by:
        raise TokenUsed(boot.operation)
    if boot.over or now >= boot.expire_time:
        raise TokenInvalid(boot.operation)
    progress = replace(boot.progress, begin_time=boot.progress.begin_time or now)
    return replace(boot, report_digest=known_by, contact_time=now, progress=progress)


def first_booted(boot: Boot, now: datetime) -> Boot:
    """The boot whose installed system has started. Raises TokenUsed."""
    if boot.progress.first_boot_time:
        raise TokenUsed(boot.operation)
    return replace(boot, progress=replace(boot.progress, first_boot_time=now))


def heard(boot: Boot, now: datetime) -> Boot:
    """The boot whose system was heard of."""
    return replace(boot, contact_time=now)


def reported(boot: Boot, report: Report, now: datetime) -> Boot:
    """The boot with what its system says. What was done or failed stays so."""
    progress = boot.progress
    match report.event:
        case Event.READY:
            progress = replace(
                progress, ssh_host_keys=report.ssh_host_keys, ready_time=progress.ready_time or now
            )
        case Event.DONE:
            progress = replace(progress, percent=100, done_time=progress.done_time or now)
        case Event.FAILED:
            progress = replace(progress, failed_time=progress.failed_time or now)
        case Event.ALIVE:
            pass
    progress = replace(progress, first_report_time=progress.first_report_time or now)
    log = (*progress.log, *(_CONTROL.sub("�", line) for line in report.log))
    return replace(
        boot,
        contact_time=now,
        progress=replace(
            progress,
            percent=max(progress.percent, report.percent),
            message=_CONTROL.sub("�", report.message) or progress.message,
            log=log[-LOG_LINES:],
        ),
    )


class Netboots(Protocol):
    """Where it is kept what servers boot, and what they booted."""

    async def find(self, hostname: str) -> Netboot:
        """What the server boots."""
        ...

    async def put(self, hostname: str, netboot: Netboot) -> None:
        """Sets what the server boots at every start; what it booted last stays."""
        ...

    async def begun(self, hostname: str) -> None:
        """Forgets what was planned for one start, which has begun."""
        ...

    async def booted(self, hostname: str, last: LastBoot) -> None:
        """Keeps what the server was told."""
        ...

    async def machine(self, mac: str, uuid: str) -> str | None:
        """The hostname of the one server with this UUID, or else MAC address; None: no such one."""
        ...

    async def owner(self, address: str) -> str | None:
        """The hostname of the server that an IP address is registered for; None: of none."""
        ...

    async def plan(self, boot: Boot, access: Access) -> None:
        """Keeps a boot, in place of one that the operation planned before: its server boots it,
        and the systems that it booted before are not wanted.
        """
        ...

    async def unplan(self, hostname: str) -> None:
        """Forgets what was planned: the systems that the server booted before are not wanted."""
        ...

    async def boot(self, operation: UUID) -> Boot | None:
        """The boot of an operation."""
        ...

    async def by_token(self, token_digest: bytes) -> Boot | None:
        """The boot whose newest script held this token."""
        ...

    async def by_report_token(self, report_digest: bytes) -> Boot | None:
        """The boot whose system is known by this."""
        ...

    async def by_first_boot_token(self, first_boot_digest: bytes) -> Boot | None:
        """The boot whose installed system shows this."""
        ...

    async def update(self, operation: UUID, change: Callable[[Boot], Boot]) -> Boot:
        """Applies a change in one transaction. Raises what it raises."""
        ...

    async def access(self, operation: UUID) -> Access:
        """Who may log in to the booted system; nobody when that was forgotten."""
        ...

    async def take_password(self, operation: UUID) -> str:
        """The password, which is forgotten with that; empty: there is none."""
        ...
