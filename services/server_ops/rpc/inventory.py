"""f2h.server_ops.v1.InventoryService."""

from typing import Any

from f2h.access.v1.reason_pb2 import Reason
from f2h.server_ops.v1 import inventory_pb2, inventory_pb2_grpc, ip_pb2, server_pb2
from google.protobuf import empty_pb2

from services.runtime.clock import Clock
from services.runtime.errors import ApiError
from services.runtime.paging import decode_token, encode_token, page_size
from services.server_ops.bmc.endpoint import Protocol
from services.server_ops.inventory.server import (
    AddressTaken,
    Server,
    ServerBusy,
    Servers,
    canonical_ip,
    server_busy,
)
from services.server_ops.ips.ip import Ips, Moving, Role
from services.server_ops.ips.request import ip_busy
from services.server_ops.monitoring.uplink import SnmpLogin, Uplink, Uplinks
from services.server_ops.netboot.assign import AssignImage
from services.server_ops.netboot.netboot import BootType
from services.server_ops.rpc.ips import pack_ip
from services.server_ops.rpc.netboot_message import pack_netboot

_PORTS = {Protocol.IPMI: 623, Protocol.REDFISH: 443}

SNMP_PORT = 161

_PROTOCOLS = {
    inventory_pb2.BMC_PROTOCOL_UNSPECIFIED: Protocol.IPMI,
    inventory_pb2.BMC_PROTOCOL_IPMI: Protocol.IPMI,
    inventory_pb2.BMC_PROTOCOL_REDFISH: Protocol.REDFISH,
}


class InventoryServicer(inventory_pb2_grpc.InventoryServiceServicer):
    """Lets the NOC say what exists."""

    def __init__(
        self,
        servers: Servers,
        assign_image: AssignImage,
        *,
        ips: Ips,
        uplinks: Uplinks,
        clock: Clock,
    ) -> None:
        self._servers = servers
        self._assign_image = assign_image
        self._ips = ips
        self._uplinks = uplinks
        self._clock = clock

    async def PutServer(
        self, request: inventory_pb2.PutServerRequest, _context: Any
    ) -> inventory_pb2.InventoryServer:
        """Registers a server."""
        protocol = _PROTOCOLS[request.bmc_protocol]
        server = Server(
            hostname=request.hostname.lower(),
            account=request.account,
            ips=tuple(canonical_ip(ip) for ip in request.ips),
            datacenter=request.datacenter,
            mac=request.mac,
            uuid=request.uuid,
            uefi=request.uefi,
            bmc_protocol=protocol,
            bmc_address=canonical_ip(request.bmc_address),
            bmc_port=request.bmc_port or _PORTS[protocol],
            create_time=self._clock(),
        )
        try:
            kept = await self._servers.put(
                server, request.bmc_username.encode(), request.bmc_password.encode()
            )
        except AddressTaken as taken:
            raise _taken(taken.ip) from None
        return _pack(kept)

    async def DeleteServer(
        self, request: inventory_pb2.DeleteServerRequest, _context: Any
    ) -> empty_pb2.Empty:
        """Removes a server."""
        try:
            removed = await self._servers.delete(request.hostname)
        except ServerBusy as busy:
            raise server_busy(request.hostname, busy.operation) from None
        if not removed:
            raise _no_server(request.hostname)
        return empty_pb2.Empty()

    async def ListInventory(
        self, request: inventory_pb2.ListInventoryRequest, _context: Any
    ) -> inventory_pb2.ListInventoryResponse:
        """The servers of an account, or of all."""
        size = page_size(request.page_size)
        views = await self._servers.page(
            account=request.account,
            hostnames=None,
            after=decode_token(request.page_token),
            limit=size + 1,
        )
        page = [view.server for view in views[:size]]
        return inventory_pb2.ListInventoryResponse(
            servers=[_pack(server) for server in page],
            next_page_token=encode_token(page[-1].hostname) if len(views) > size else "",
        )

    async def SetNetboot(
        self, request: inventory_pb2.SetNetbootRequest, _context: Any
    ) -> server_pb2.Netboot:
        """Sets what a server boots from now on."""
        boot_type = BootType(server_pb2.Netboot.BootType.Name(request.boot_type))
        return pack_netboot(await self._assign_image(request.hostname, boot_type, request.image))

    async def PutFailoverIp(
        self, request: inventory_pb2.PutFailoverIpRequest, _context: Any
    ) -> ip_pb2.Ip:
        """Gives a failover address to a server."""
        ip = canonical_ip(request.ip)
        try:
            await self._ips.put_failover(ip, request.hostname)
        except LookupError:
            raise _no_server(request.hostname) from None
        except AddressTaken:
            raise _taken(ip) from None
        except Moving as moving:
            raise ip_busy(ip, moving) from None
        return pack_ip(ip, Role.FAILOVER, None)

    async def DeleteFailoverIp(
        self, request: inventory_pb2.DeleteFailoverIpRequest, _context: Any
    ) -> empty_pb2.Empty:
        """Forgets a failover address."""
        ip = canonical_ip(request.ip)
        try:
            deleted = await self._ips.delete_failover(ip)
        except Moving as moving:
            raise ip_busy(ip, moving) from None
        if not deleted:
            raise ApiError(Reason.NOT_FOUND, f"{ip} is no failover address.")
        return empty_pb2.Empty()

    async def PutUplink(
        self, request: inventory_pb2.PutUplinkRequest, _context: Any
    ) -> inventory_pb2.Uplink:
        """Keeps where a server's traffic is counted."""
        login = SnmpLogin(
            request.community, request.user, request.auth_passphrase, request.privacy_passphrase
        )
        uplink = Uplink(
            canonical_ip(request.switch_address),
            request.switch_port or SNMP_PORT,
            request.interface,
            login,
        )
        try:
            await self._uplinks.put(request.hostname, uplink)
        except LookupError:
            raise _no_server(request.hostname) from None
        return inventory_pb2.Uplink(
            hostname=request.hostname,
            switch_address=uplink.switch_address,
            switch_port=uplink.switch_port,
            interface=uplink.interface,
        )

    async def DeleteUplink(
        self, request: inventory_pb2.DeleteUplinkRequest, _context: Any
    ) -> empty_pb2.Empty:
        """Forgets where a server's traffic is counted."""
        if not await self._uplinks.delete(request.hostname):
            raise ApiError(Reason.NOT_FOUND, f"No uplink of {request.hostname} is known.")
        return empty_pb2.Empty()

    async def FilterOwned(
        self, request: inventory_pb2.FilterOwnedRequest, _context: Any
    ) -> inventory_pb2.FilterOwnedResponse:
        """Those of the given servers that belong to the account."""
        owned = await self._servers.owned(request.account, [*request.hostnames])
        total = await self._servers.count(request.account)
        return inventory_pb2.FilterOwnedResponse(hostnames=owned, account_servers=total)


def _no_server(hostname: str) -> ApiError:
    return ApiError(Reason.NOT_FOUND, f"No server {hostname} is registered.")


def _taken(ip: str) -> ApiError:
    text = f"{ip} belongs to another server."
    return ApiError(Reason.ALREADY_EXISTS, text, metadata={"resource": ip})


def _pack(server: Server) -> inventory_pb2.InventoryServer:
    return inventory_pb2.InventoryServer(
        hostname=server.hostname,
        account=server.account,
        ips=server.ips,
        datacenter=server.datacenter,
        mac=server.mac,
        uuid=server.uuid,
        uefi=server.uefi,
        bmc_address=server.bmc_address,
        bmc_port=server.bmc_port,
        bmc_protocol=inventory_pb2.BmcProtocol.Value(f"BMC_PROTOCOL_{server.bmc_protocol}"),
    )
