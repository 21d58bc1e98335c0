"""f2h.server_ops.v1.AddressService."""

from typing import Any

from f2h.server_ops.v1 import address_pb2, address_pb2_grpc

from services.runtime.errors import invalid
from services.runtime.networks import parse_address
from services.runtime.paging import decode_token, encode_token
from services.server_ops.inventory.server import Servers
from services.server_ops.ips.ip import Ips

PAGE_SIZE = 1000


class AddressServicer(address_pb2_grpc.AddressServiceServicer):
    """Tells our other services which server has which address."""

    def __init__(self, servers: Servers, ips: Ips) -> None:
        self._servers = servers
        self._ips = ips

    async def LocateServer(
        self, request: address_pb2.LocateServerRequest, _context: Any
    ) -> address_pb2.LocatedServer:
        """The server with this name or this address; an empty one: there is none."""
        if bool(request.hostname) == bool(request.ip):
            raise invalid("hostname", "give either this or ip")
        hostname = request.hostname or await self._with(request.ip)
        view = await self._servers.find(hostname) if hostname else None
        if view is None:
            return address_pb2.LocatedServer()
        failover = [each.ip for each in await self._ips.failover_of(hostname)]
        return address_pb2.LocatedServer(
            hostname=hostname, account=view.server.account, ips=[*view.server.ips, *failover]
        )

    async def ListAddresses(
        self, request: address_pb2.ListAddressesRequest, _context: Any
    ) -> address_pb2.ListAddressesResponse:
        """A page of all addresses."""
        size = request.page_size or PAGE_SIZE
        found = await self._ips.page(decode_token(request.page_token), size + 1)
        page = found[:size]
        return address_pb2.ListAddressesResponse(
            addresses=[
                address_pb2.ListAddressesResponse.Located(
                    ip=each.ip, hostname=each.hostname, account=each.account
                )
                for each in page
            ],
            next_page_token=encode_token(page[-1].ip) if len(found) > size else "",
        )

    async def _with(self, ip: str) -> str:
        """Hostname of the server that has the address; empty: none has."""
        address = parse_address(ip)
        if address is None:
            raise invalid("ip", "must be an IP address")
        found = await self._ips.find(str(address))
        return found.hostname if found else ""
