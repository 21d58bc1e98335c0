"""f2h.server_ops.v1.ServerService."""

from typing import Any

from f2h.server_ops.v1 import server_pb2, server_pb2_grpc

from services.runtime import timestamps
from services.runtime.call import current_caller
from services.runtime.paging import decode_token, encode_token, page_size
from services.server_ops.inventory.server import Servers, ServerView, view_of
from services.server_ops.rpc.netboot_message import pack_netboot
from services.server_ops.rpc.power_message import pack_power


class ServerServicer(server_pb2_grpc.ServerServiceServicer):
    """Shows customers their servers."""

    def __init__(self, servers: Servers) -> None:
        self._servers = servers

    async def GetServer(
        self, request: server_pb2.GetServerRequest, _context: Any
    ) -> server_pb2.Server:
        """The server, if it is granted and the account's."""
        return _pack(await view_of(self._servers, request.hostname, current_caller().account))

    async def ListServers(
        self, request: server_pb2.ListServersRequest, _context: Any
    ) -> server_pb2.ListServersResponse:
        """The servers that are granted and the account's."""
        caller = current_caller()
        size = page_size(request.page_size)
        views = await self._servers.page(
            account=caller.account,
            hostnames=caller.servers,
            after=decode_token(request.page_token),
            limit=size + 1,
        )
        page = views[:size]
        more = len(views) > size
        return server_pb2.ListServersResponse(
            servers=[_pack(view) for view in page],
            next_page_token=encode_token(page[-1].server.hostname) if more else "",
        )


def _pack(view: ServerView) -> server_pb2.Server:
    server = view.server
    return server_pb2.Server(
        hostname=server.hostname,
        ips=server.ips,
        datacenter=server.datacenter,
        mac=server.mac,
        create_time=timestamps.pack(server.create_time),
        current_operation=view.current_operation,
        netboot=pack_netboot(view.netboot),
        power=pack_power(view.power, view.power_time) if view.power_time else None,
    )
