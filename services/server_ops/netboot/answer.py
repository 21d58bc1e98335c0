"""What machines that boot are answered."""

from collections.abc import Awaitable, Callable

import structlog

from services.runtime.clock import Clock
from services.server_ops.netboot.boot import (
    Access,
    Netboots,
    Report,
    TokenInvalid,
    TokenUsed,
    awaited,
    begun,
    digest,
    heard,
    new_token,
    reported,
    scripted,
)
from services.server_ops.netboot.image import Images
from services.server_ops.netboot.netboot import BootType, LastBoot, Netboot
from services.server_ops.netboot.script import HARDDISK, boot_script

log = structlog.get_logger()


class AnswerMachines:
    """Tells machines what to boot, and takes what they report."""

    def __init__(
        self,
        netboots: Netboots,
        images: Images,
        clock: Clock,
        url: str,
        to_disk: Callable[[str], Awaitable[None]],
    ) -> None:
        """`url` is where machines reach the provisioning listener; `to_disk` is told of servers
        that were sent on to their disks.
        """
        self._netboots = netboots
        self._images = images
        self._clock = clock
        self._url = url
        self._to_disk = to_disk

    async def script(self, mac: str, uuid: str) -> str | None:
        """The iPXE script for a machine; None when it is no server of ours."""
        hostname = await self._netboots.machine(mac, uuid)
        if hostname is None:
            return None
        netboot = await self._netboots.find(hostname)
        script = await self._script(netboot)
        told = netboot.boot_type if script else BootType.HARDDISK
        await self._netboots.booted(hostname, LastBoot(told, self._clock()))
        if script is None:
            await self._to_disk(hostname)
        log.info("machine asked what to boot", server=hostname, told=told)
        return script or HARDDISK

    async def _script(self, netboot: Netboot) -> str | None:
        if netboot.operation is None:
            image = await self._images.find(netboot.image)
            return boot_script(image, self._url) if image else None
        boot = await self._netboots.boot(netboot.operation)
        if boot is None or not awaited(boot, self._clock()):
            return None
        token = new_token()
        await self._netboots.update(boot.operation, lambda boot: scripted(boot, token))
        return boot_script(boot.image, self._url, f"f2h.url={self._url} f2h.token={token}")

    async def begin(self, token: str, report_token: str) -> tuple[str, Access]:
        """The hostname of the machine that begins, and who may log in to it.

        Raises TokenInvalid, and TokenUsed when another system has begun with this token.
        """
        found = await self._netboots.by_token(digest(token))
        if found is None:
            raise TokenInvalid
        now = self._clock()
        try:
            await self._netboots.update(found.operation, lambda b: begun(b, report_token, now))
        except (TokenInvalid, TokenUsed):
            # Whoever it is: a system of this boot is there, and an exit waits for it to be gone.
            await self._netboots.update(found.operation, lambda b: heard(b, now))
            raise
        # The next start is from disk again.
        await self._netboots.put(found.hostname, Netboot())
        return found.hostname, await self._netboots.access(found.operation)

    async def report(self, report_token: str, report: Report) -> None:
        """Keeps what a booted system says. Raises TokenInvalid."""
        found = await self._netboots.by_report_token(digest(report_token))
        if found is None:
            raise TokenInvalid
        now = self._clock()
        if found.over:
            await self._netboots.update(found.operation, lambda b: heard(b, now))
            raise TokenInvalid
        await self._netboots.update(found.operation, lambda b: reported(b, report, now))
