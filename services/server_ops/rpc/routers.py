"""f2h.server_ops.v1.RouterService."""

from typing import Any

from f2h.access.v1.reason_pb2 import Reason
from f2h.server_ops.v1 import router_pb2, router_pb2_grpc
from google.protobuf import empty_pb2

from services.runtime.errors import ApiError, invalid
from services.runtime.ssh import is_host_key
from services.server_ops.inventory.server import canonical_ip
from services.server_ops.ips.router import Router, RouterInUse, Routers

SSH_PORT = 22


class RouterServicer(router_pb2_grpc.RouterServiceServicer):
    """Lets the NOC say how routers are reached."""

    def __init__(self, routers: Routers) -> None:
        self._routers = routers

    async def PutRouter(
        self, request: router_pb2.PutRouterRequest, _context: Any
    ) -> router_pb2.Router:
        """Keeps a router."""
        if not is_host_key(request.host_key):
            text = "must be a key as /etc/ssh/ssh_host_ed25519_key.pub holds it"
            raise invalid("host_key", text)
        router = Router(
            name=request.name,
            address=canonical_ip(request.address),
            port=request.port or SSH_PORT,
            user=request.user,
            host_key=request.host_key,
        )
        await self._routers.put(router)
        return _pack(router)

    async def ListRouters(
        self, _request: router_pb2.ListRoutersRequest, _context: Any
    ) -> router_pb2.ListRoutersResponse:
        """All routers."""
        return router_pb2.ListRoutersResponse(routers=map(_pack, await self._routers.all()))

    async def DeleteRouter(
        self, request: router_pb2.DeleteRouterRequest, _context: Any
    ) -> empty_pb2.Empty:
        """Forgets a router."""
        try:
            deleted = await self._routers.delete(request.name)
        except RouterInUse as used:
            raise invalid(
                "name", f"the network {used.network} names it: change that first"
            ) from None
        if not deleted:
            raise ApiError(Reason.NOT_FOUND, f"There is no router {request.name}.")
        return empty_pb2.Empty()


def _pack(router: Router) -> router_pb2.Router:
    return router_pb2.Router(
        name=router.name,
        address=router.address,
        port=router.port,
        user=router.user,
        host_key=router.host_key,
    )
