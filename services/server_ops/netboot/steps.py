"""The steps that operations on what a machine boots are made of."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TypeVar
from uuid import UUID

from services.runtime.clock import Clock
from services.server_ops.bmc.boot import BootDevice
from services.server_ops.netboot.boot import (
    Access,
    Boot,
    Installation,
    Netboots,
    Progress,
    digest,
)
from services.server_ops.netboot.image import (
    Image,
    ImageDamaged,
    ImageFile,
    ImageFiles,
    Images,
)
from services.server_ops.netboot.netboot import BootType
from services.server_ops.operations.operation import Operation
from services.server_ops.operations.workflow import failed

T = TypeVar("T")


class Gone(StrEnum):
    """What showed that a system is gone, beside the restart."""

    BOOT_SCRIPT = "BOOT_SCRIPT"
    SILENCE = "SILENCE"


@dataclass(frozen=True)
class BootPatience:
    """How long an operation waits for a machine that boots from the network."""

    ready_seconds: float = 900.0
    """From a restart to the call of the system that was to be booted."""
    install_seconds: float = 3600.0
    """From the restart until an installer is done."""
    heartbeat_seconds: float = 10.0
    """How often a booted system calls. One that missed three calls is gone."""
    takeover_seconds: float = 15.0
    """What is left of that at least for a process that takes over after a crash."""
    poll_seconds: float = 1.0


class BootSteps:
    """Plans the boot of an operation, and waits for what comes of it."""

    def __init__(
        self,
        netboots: Netboots,
        images: Images,
        files: ImageFiles,
        *,
        clock: Clock,
        patience: BootPatience,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._netboots = netboots
        self._images = images
        self._files = files
        self._clock = clock
        self._patience = patience
        self._monotonic = monotonic

    async def image(self, name: str) -> Image:
        """The image. Raises OperationFailed when it was forgotten."""
        image = await self._images.find(name)
        if image is None:
            raise failed("IMAGE_DAMAGED", f"There is no image {name} any more.", image=name)
        return image

    async def verify(self, name: str, *files: ImageFile) -> None:
        """Sees that files of an image are what was registered. Raises OperationFailed."""
        try:
            await self._files.verify(*files)
        except ImageDamaged as damaged:
            text = f"{name} cannot be used. {damaged}"
            raise failed("IMAGE_DAMAGED", text, image=name) from None

    def size(self, file: ImageFile) -> int:
        """How many bytes a file of an image has."""
        return self._files.size(file)

    async def plan(
        self,
        operation: Operation,
        boot_type: BootType,
        image: Image,
        access: Access,
        installation: Installation | None = None,
    ) -> None:
        """Lets the machine boot the image once. A second time, the plan before is void."""
        expire = self._clock() + timedelta(seconds=self._patience.ready_seconds)
        boot = Boot(operation.id, operation.server, boot_type, image, expire)
        if installation:
            first_boot = digest(access.first_boot_token)
            boot = replace(boot, installation=installation, first_boot_digest=first_boot)
        await self._netboots.plan(boot, access)

    async def unplan(self, operation: Operation) -> BootDevice:
        """Lets the machine boot what it does at every start, and tells from where that comes."""
        await self._netboots.unplan(operation.server)
        netboot = await self._netboots.find(operation.server)
        return BootDevice.DISK if netboot.boot_type is BootType.HARDDISK else BootDevice.NETWORK

    async def ready(self, operation: Operation, _index: int) -> Progress:
        """What the booted system said when it could be used. Raises OperationFailed."""

        async def look() -> Progress | None:
            boot = await self._netboots.boot(operation.id)
            progress = boot.progress if boot else Progress()
            if progress.failed_time:
                text = f"The booted system could not be made ready: {progress.message}"
                raise failed("BOOT_NOT_SEEN", text)
            return progress if progress.ready_time else None

        seen = await self.until(operation, self._patience.ready_seconds, look)
        if seen is None:
            raise failed("BOOT_NOT_SEEN", await self._how_far(operation))
        return seen

    async def begun(self, operation: Operation, _index: int) -> None:
        """Sees the booted system call home. Raises OperationFailed."""

        async def look() -> Boot | None:
            boot = await self._netboots.boot(operation.id)
            return boot if boot and boot.report_digest else None

        if await self.until(operation, self._patience.ready_seconds, look) is None:
            raise failed("BOOT_NOT_SEEN", await self._how_far(operation))

    async def gone(
        self, booted_by: UUID | None, restart_time: datetime, operation: Operation
    ) -> Gone:
        """What showed that the system of an earlier boot is gone, after a restart was seen.

        Raises OperationFailed when it calls again.
        """
        heartbeat = self._patience.heartbeat_seconds
        # A call that was under way when the power went may be counted late.
        late = restart_time + timedelta(seconds=heartbeat)
        until = self._monotonic() + 3.5 * heartbeat
        while self._monotonic() < until:
            boot = await self._netboots.boot(booted_by) if booted_by else None
            if boot and boot.contact_time and boot.contact_time > late:
                text = (
                    f"The machine was restarted to leave it, and is in {boot.image.name} "
                    f"({boot.boot_type}) again."
                )
                raise failed("WRONG_SYSTEM", text, booted=boot.boot_type)
            if await self._sent_elsewhere(operation):
                return Gone.BOOT_SCRIPT
            await asyncio.sleep(self._patience.poll_seconds)
        return Gone.SILENCE

    async def _sent_elsewhere(self, operation: Operation) -> bool:
        last = (await self._netboots.find(operation.server)).last_boot
        return (
            last is not None
            and last.boot_type in {BootType.HARDDISK, BootType.NETWORK}
            and operation.sent_time is not None
            and last.time > operation.sent_time
        )

    async def _how_far(self, operation: Operation) -> str:
        boot = await self._netboots.boot(operation.id)
        seconds = round(self._patience.ready_seconds)
        if boot is None or not boot.token_digest:
            how_far = "it did not ask the network what to boot"
        elif not boot.report_digest:
            how_far = "it was given its boot script, and what that boots did not call home"
        else:
            how_far = "the booted system called home, and did not say that it is ready"
        return f"The machine was restarted, and {how_far} within {seconds} s."

    async def until(
        self, operation: Operation, seconds: float, look: Callable[[], Awaitable[T | None]]
    ) -> T | None:
        """What `look` finds until so many seconds after the command; None: nothing.

        Raises what `look` raises.
        """
        left = operation.seconds_left(seconds, self._clock())
        until = self._monotonic() + max(left, self._patience.takeover_seconds)
        while True:
            found = await look()
            if found is not None or self._monotonic() >= until:
                return found
            await asyncio.sleep(self._patience.poll_seconds)
