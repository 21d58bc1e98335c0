"""The installation itself: check, prepare, restart once, see the system run."""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from functools import partial

from services.runtime.clock import Clock
from services.server_ops.bmc.boot import BootDevice
from services.server_ops.bmc.observation import Observation, PowerState
from services.server_ops.install.template import Template, Templates
from services.server_ops.inventory.server import Servers
from services.server_ops.netboot.boot import Access, Installation, Netboots, Progress, new_token
from services.server_ops.netboot.netboot import BootType
from services.server_ops.netboot.render import EXAMPLE, TextInvalid, render
from services.server_ops.netboot.steps import BootPatience, BootSteps
from services.server_ops.operations.operation import Operation
from services.server_ops.operations.workflow import Run, failed
from services.server_ops.power.chassis import Chassis
from services.server_ops.rescue.workflow import start_command

STEPS = (
    "check the template, its files, the BMC and the power state",
    "prepare the network boot",
    "let the machine boot from the network once",
    "restart the machine",
    "see the installer call home",
    "see the installer finish",
    "see the installed system start",
)


class Started(StrEnum):
    """What showed that an installed system started."""

    FIRST_BOOT = "FIRST_BOOT"
    BOOT_SCRIPT = "BOOT_SCRIPT"
    SILENCE = "SILENCE"


class InstallServer:
    """What an operation of the kind INSTALL does."""

    def __init__(
        self,
        templates: Templates,
        servers: Servers,
        netboots: Netboots,
        *,
        chassis: Chassis,
        boots: BootSteps,
        patience: BootPatience,
        clock: Clock,
    ) -> None:
        self._templates = templates
        self._servers = servers
        self._netboots = netboots
        self._chassis = chassis
        self._boots = boots
        self._patience = patience
        self._clock = clock

    async def __call__(self, run: Run) -> Mapping[str, str]:
        """See workflow.Act: the `template`, and the `proof` that it started, and when."""
        before = await run.step(0, self._check)
        await run.step(1, self._plan)
        await run.step(2, partial(self._chassis.set_boot, BootDevice.NETWORK))
        await run.step(3, partial(self._chassis.send, start_command(before)))
        await run.step(4, self._boots.begun)
        done_time = await run.step(5, self._see_done)
        proof = await run.step(6, partial(self._see_start, done_time))
        return {
            "template": run.parameters["template"],
            "proof": proof,
            "start_time": self._clock().isoformat(),
        }

    async def _check(self, operation: Operation, index: int) -> Observation:
        template = await self._template(operation)
        image = await self._boots.image(template.image)
        await self._boots.verify(image.name, *image.files)
        if template.disk_image:
            await self._boots.verify(template.name, template.disk_image)
        return await self._chassis.look(operation, index)

    async def _plan(self, operation: Operation, _index: int) -> None:
        template = await self._template(operation)
        image = await self._boots.image(template.image)
        view = await self._servers.find(operation.server)
        if view is None:
            raise failed("INTERNAL", "The server is no longer in the inventory.")
        layout = template.layout(operation.parameters["layout"])
        installation = Installation(
            template=template.name,
            command_line=template.command_line,
            documents={document.name: document.content for document in template.documents},
            names={
                "hostname": operation.parameters["os_hostname"],
                "server": {
                    "hostname": view.server.hostname,
                    "ips": list(view.server.ips),
                    "mac": view.server.mac,
                },
                "layout": layout.content if layout else "",
            },
            disk_image=template.disk_image,
        )
        if template.disk_image:
            size = self._boots.size(template.disk_image)
            installation = replace(installation, disk_image_bytes=size)
        keys = tuple(operation.parameters["ssh_keys"].splitlines())
        _try_rendering(installation, keys)
        access = Access(ssh_keys=keys, first_boot_token=new_token())
        await self._boots.plan(operation, BootType.INSTALL, image, access, installation)

    async def _see_done(self, operation: Operation, _index: int) -> datetime:
        looks = Looks(self._chassis, operation, self._patience.heartbeat_seconds)

        async def look() -> datetime | None:
            boot = await self._netboots.boot(operation.id)
            progress = boot.progress if boot else Progress()
            if progress.done_time:
                return progress.done_time
            if progress.failed_time:
                raise failed("INSTALL_FAILED", f"The installer failed: {progress.message}")
            last = (await self._netboots.find(operation.server)).last_boot
            if last and progress.begin_time and last.time > progress.begin_time:
                text = "The machine was restarted before the installer was done."
                raise failed("INSTALL_FAILED", text)
            if await looks.stays_off():
                text = "The machine was switched off before the installer was done."
                raise failed("INSTALL_FAILED", text)
            return None

        done = await self._boots.until(operation, self._patience.install_seconds, look)
        if done is None:
            seconds = round(self._patience.install_seconds)
            raise failed("INSTALL_FAILED", f"The installer was not done within {seconds} s.")
        return done

    async def _see_start(self, done_time: datetime, operation: Operation, _index: int) -> Started:
        boot = await self._netboots.boot(operation.id)
        calls_home = bool(boot and boot.installation and boot.installation.calls_home)

        async def look() -> Started | None:
            boot = await self._netboots.boot(operation.id)
            if boot and boot.progress.first_boot_time:
                return Started.FIRST_BOOT
            last = (await self._netboots.find(operation.server)).last_boot
            if last and last.time > done_time and not calls_home:
                return Started.BOOT_SCRIPT
            return None

        # An installer that is done does not call again; a system that does not call home is known
        # by that nothing else was seen.
        patience = self._patience
        wait = patience.ready_seconds if calls_home else 3.5 * patience.heartbeat_seconds
        until = (done_time - (operation.sent_time or done_time)).total_seconds() + wait
        seen = await self._boots.until(operation, until, look)
        if seen is None and calls_home:
            text = (
                "The installer was done, and the installed system did not call home within "
                f"{wait:.0f} s."
            )
            raise failed("BOOT_NOT_SEEN", text)
        return seen or Started.SILENCE

    async def _template(self, operation: Operation) -> Template:
        name = operation.parameters["template"]
        template = await self._templates.find(name)
        if template is None:
            raise failed("IMAGE_DAMAGED", f"There is no template {name} any more.", image=name)
        return template


def _try_rendering(installation: Installation, ssh_keys: tuple[str, ...]) -> None:
    """Sees that the texts can be filled with what is known of this server, before it is restarted.

    Raises OperationFailed.
    """
    names = {**EXAMPLE, **installation.names, "ssh_keys": list(ssh_keys)}
    texts = {"its command line": installation.command_line, **installation.documents}
    for name, text in texts.items():
        try:
            render(text, names)
        except TextInvalid as invalid:
            said = f"Template {installation.template} does not fit this server: {name}: {invalid}."
            raise failed("INSTALL_FAILED", said) from None


class Looks:
    """Looks at a machine's power now and then, while something else is waited for."""

    def __init__(
        self,
        chassis: Chassis,
        operation: Operation,
        seconds: float,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`seconds` pass from one look to the next."""
        self._chassis = chassis
        self._operation = operation
        self._seconds = seconds
        self._monotonic = monotonic
        self._next = monotonic() + seconds
        self._off = 0

    async def stays_off(self) -> bool:
        """Whether the machine was off at the last two looks: who restarts it shows it off once."""
        if self._monotonic() >= self._next:
            power = await self._chassis.power(self._operation)
            self._off = self._off + 1 if power is PowerState.OFF else 0
            self._next = self._monotonic() + self._seconds
        return self._off > 1
