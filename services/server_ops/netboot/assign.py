"""Saying what a server boots at every start."""

from f2h.access.v1.reason_pb2 import Reason

from services.runtime.errors import ApiError, invalid
from services.server_ops.inventory.server import Servers, server_busy
from services.server_ops.netboot.boot import Netboots
from services.server_ops.netboot.image import ImageKind, Images
from services.server_ops.netboot.netboot import BootType, Netboot


class AssignImage:
    """Lets a server boot an image at every start, or its disk."""

    def __init__(self, servers: Servers, netboots: Netboots, images: Images) -> None:
        self._servers = servers
        self._netboots = netboots
        self._images = images

    async def __call__(self, hostname: str, boot_type: BootType, name: str) -> Netboot:
        """What the server boots from now on.

        Raises ApiError: NOT_FOUND, SERVER_BUSY, INVALID_REQUEST.
        """
        view = await self._servers.find(hostname)
        if view is None:
            raise ApiError(Reason.NOT_FOUND, f"No server {hostname} is registered.")
        if view.current_operation:
            raise server_busy(hostname, view.current_operation)
        await self._netboots.put(hostname, await self._netboot(boot_type, name))
        return await self._netboots.find(hostname)

    async def _netboot(self, boot_type: BootType, name: str) -> Netboot:
        if boot_type is BootType.HARDDISK:
            if name:
                raise invalid("image", "must be empty for HARDDISK, which boots no image")
            return Netboot()
        image = await self._images.find(name)
        if image is None or image.kind is not ImageKind.NETWORK:
            raise invalid("image", "must be the name of an image of the kind IMAGE_KIND_NETWORK")
        return Netboot(boot_type, image.name, image.kernel.path)
