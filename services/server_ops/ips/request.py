"""Asking for a move, refused at once when it cannot work."""

from f2h.access.v1.reason_pb2 import Reason

from services.runtime.errors import ApiError
from services.server_ops.inventory.server import BUSY_RETRY_SECONDS, Servers, view_of
from services.server_ops.ips.ip import (
    AlreadyThere,
    Moving,
    Networks,
    NotMovable,
    network_of,
    next_hop,
)
from services.server_ops.operations.operation import Operation
from services.server_ops.operations.request import OperationRequest, RequestOperation


class RequestMove:
    """Accepts moves of failover addresses."""

    def __init__(
        self, request_operation: RequestOperation, servers: Servers, networks: Networks
    ) -> None:
        self._request_operation = request_operation
        self._servers = servers
        self._networks = networks

    async def __call__(self, request: OperationRequest) -> Operation:
        """The operation that moves the address in the parameter `ip` to the request's server.

        Raises ApiError: what RequestOperation raises, and NOT_SET_UP, INVALID_REQUEST,
        IP_NOT_MOVABLE, IP_ALREADY_THERE, IP_BUSY.
        """
        ip, hostname = request.parameters["ip"], request.hostname
        view = await view_of(self._servers, hostname, request.account)
        if next_hop(view.server, ip) is None:
            family = "IPv6" if ":" in ip else "IPv4"
            raise ApiError(
                Reason.INVALID_REQUEST,
                f"{hostname} has no {family} address of its own, which {ip} could be routed to.",
            )
        network = network_of(await self._networks.all(), ip)
        if network is None or not network.router:
            text = f"No router is set up for {ip}: the provider moves it by hand."
            raise ApiError(Reason.NOT_SET_UP, text)
        try:
            return await self._request_operation(request)
        except NotMovable:
            text = f"{ip} belongs to its server for good: only failover addresses move."
            raise ApiError(Reason.IP_NOT_MOVABLE, text, metadata={"ip": ip}) from None
        except AlreadyThere:
            text = f"{hostname} has {ip} already."
            metadata = {"ip": ip, "server": hostname}
            raise ApiError(Reason.IP_ALREADY_THERE, text, metadata=metadata) from None
        except Moving as moving:
            raise ip_busy(ip, moving) from None


def ip_busy(ip: str, moving: Moving) -> ApiError:
    """That an operation moves an address."""
    operation = f"operations/{moving.operation}"
    return ApiError(
        Reason.IP_BUSY,
        f"{ip} is being moved by {operation}.",
        metadata={"ip": ip, "operation": operation},
        retry_after_seconds=BUSY_RETRY_SECONDS,
    )
