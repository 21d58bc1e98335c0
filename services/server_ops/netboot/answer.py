"""What machines that boot are answered."""

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from services.runtime.clock import Clock
from services.server_ops.netboot.boot import (
    Access,
    Boot,
    Installation,
    Netboots,
    Report,
    TokenInvalid,
    TokenUsed,
    awaited,
    begun,
    digest,
    first_booted,
    heard,
    new_token,
    reported,
    scripted,
)
from services.server_ops.netboot.image import Images
from services.server_ops.netboot.netboot import BootType, LastBoot, Netboot
from services.server_ops.netboot.render import render
from services.server_ops.netboot.script import HARDDISK, boot_script

log = structlog.get_logger()


@dataclass(frozen=True)
class Begun:
    """What a machine that begins a boot is to do."""

    boot: Boot
    access: Access
    seeds: Mapping[str, str]
    """Files for the installed system, by name."""


class AnswerMachines:
    """Tells machines what to boot, and takes what they report.

    Every call says the `address` that it came from. One that is registered for a server speaks for
    that server alone, whatever it shows.
    """

    def __init__(
        self,
        netboots: Netboots,
        images: Images,
        clock: Clock,
        url: str,
        left: Callable[[str], Awaitable[None]],
    ) -> None:
        """`url` is where machines reach the provisioning listener; `left` is told of servers
        that were sent on to what they boot at every start.
        """
        self._netboots = netboots
        self._images = images
        self._clock = clock
        self._url = url
        self._left = left

    async def script(self, mac: str, uuid: str, address: str) -> str | None:
        """The iPXE script for a machine; None when it is no server of ours."""
        hostname = await self._netboots.machine(mac, uuid)
        if hostname is None or await self._is_another(hostname, address):
            return None
        netboot = await self._netboots.find(hostname)
        script = await self._script(netboot)
        told = netboot.boot_type if script else BootType.HARDDISK
        await self._netboots.booted(hostname, LastBoot(told, self._clock()))
        if script is None or not netboot.once:
            await self._left(hostname)
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
        arguments = f"f2h.url={self._url} f2h.token={token}"
        if boot.installation:
            access = await self._netboots.access(boot.operation)
            names = self._names(boot.installation, access, token)
            arguments += " " + " ".join(render(boot.installation.command_line, names).split())
        await self._netboots.update(boot.operation, lambda boot: scripted(boot, token))
        return boot_script(boot.image, self._url, arguments.rstrip())

    def _names(self, installation: Installation, access: Access, token: str) -> Mapping[str, Any]:
        """What the texts of a template know."""
        return {
            **installation.names,
            "ssh_keys": list(access.ssh_keys),
            "document_url": f"{self._url}/netboot/documents/{token}",
            "report_url": f"{self._url}/netboot/report",
            "report_token": _report_token(token),
            "first_boot_url": f"{self._url}/netboot/first-boot/{access.first_boot_token}",
        }

    async def document(self, token: str, name: str, address: str) -> str:
        """A document for the installer that shows the token of its script.

        With the first one the installer has begun. Raises TokenInvalid when nobody has the token
        or there is no such document, and TokenUsed after the installer's first report.
        """
        found = await self._own(await self._netboots.by_token(digest(token)), address)
        if found.installation is None or name not in found.installation.documents:
            raise TokenInvalid
        if found.progress.first_report_time:
            raise TokenUsed
        await self._begin(found, _report_token(token))
        access = await self._netboots.access(found.operation)
        names = self._names(found.installation, access, token)
        return render(found.installation.documents[name], names)

    async def first_boot(self, token: str, address: str) -> None:
        """Keeps that an installed system has started. Raises TokenInvalid and TokenUsed."""
        found = await self._own(await self._netboots.by_first_boot_token(digest(token)), address)
        if found.over:
            raise TokenInvalid
        now = self._clock()
        await self._netboots.update(found.operation, lambda b: first_booted(b, now))

    async def begin(self, token: str, report_token: str, address: str) -> Begun:
        """What the machine that begins is to do.

        Raises TokenInvalid, and TokenUsed when another system has begun with this token.
        """
        found = await self._own(await self._netboots.by_token(digest(token)), address)
        await self._begin(found, report_token)
        access = await self._netboots.access(found.operation)
        seeds = {}
        if found.installation:
            names = self._names(found.installation, access, token)
            texts = found.installation.documents
            seeds = {name: render(text, names) for name, text in texts.items()}
        return Begun(found, access, seeds)

    async def _begin(self, found: Boot, report_token: str) -> None:
        now = self._clock()
        try:
            await self._netboots.update(found.operation, lambda b: begun(b, report_token, now))
        except (TokenInvalid, TokenUsed):
            # Whoever it is: a system of this boot is there, and an exit waits for it to be gone.
            await self._netboots.update(found.operation, lambda b: heard(b, now))
            raise
        await self._netboots.begun(found.hostname)

    async def report(self, report_token: str, report: Report, address: str) -> None:
        """Keeps what a booted system says. Raises TokenInvalid."""
        found = await self._own(await self._netboots.by_report_token(digest(report_token)), address)
        now = self._clock()
        if found.over:
            await self._netboots.update(found.operation, lambda b: heard(b, now))
            raise TokenInvalid
        await self._netboots.update(found.operation, lambda b: reported(b, report, now))

    async def _own(self, boot: Boot | None, address: str) -> Boot:
        if boot is None or await self._is_another(boot.hostname, address):
            raise TokenInvalid
        return boot

    async def _is_another(self, hostname: str, address: str) -> bool:
        owner = await self._netboots.owner(address) if address else None
        if owner in {None, hostname}:
            return False
        log.warning("machine spoke for another", server=hostname, machine=owner)
        return True


def _report_token(token: str) -> str:
    """What an installer is known by that cannot choose it itself: it is in its documents."""
    return hashlib.sha256(f"report {token}".encode()).hexdigest()
