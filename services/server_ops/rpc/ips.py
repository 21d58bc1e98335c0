"""f2h.server_ops.v1.IpService."""

from ipaddress import ip_address, ip_network
from typing import Any

from f2h.server_ops.v1 import ip_pb2, ip_pb2_grpc
from google.longrunning import operations_pb2

from services.runtime.call import current_caller, server_not_granted
from services.server_ops.inventory.server import Servers, view_of
from services.server_ops.ips.ip import Ips, Network, Networks, Role, network_of, roles
from services.server_ops.ips.request import RequestMove
from services.server_ops.ips.workflow import STEPS
from services.server_ops.operations.operation import Kind
from services.server_ops.ptr.change import Ptrs
from services.server_ops.rpc.granted_ip import granted_ip
from services.server_ops.rpc.operation_message import pack
from services.server_ops.rpc.operation_requests import operation_request

_Ip = ip_pb2.Ip
_FAMILIES = {4: _Ip.IPV4, 6: _Ip.IPV6}


class IpServicer(ip_pb2_grpc.IpServiceServicer):
    """Shows the addresses of servers, and asks for moves."""

    def __init__(
        self,
        servers: Servers,
        ips: Ips,
        networks: Networks,
        ptrs: Ptrs,
        request_move: RequestMove,
    ) -> None:
        self._servers = servers
        self._ips = ips
        self._networks = networks
        self._ptrs = ptrs
        self._request_move = request_move

    async def ListServerIps(
        self, request: ip_pb2.ListServerIpsRequest, _context: Any
    ) -> ip_pb2.ListServerIpsResponse:
        """The addresses of a server."""
        view = await view_of(self._servers, request.hostname, current_caller().account)
        failover = await self._ips.failover_of(request.hostname)
        found = roles(view.server) | {each.ip: Role.FAILOVER for each in failover}
        in_order = sorted(found, key=lambda ip: [*Role].index(found[ip]))
        networks = await self._networks.all()
        packed = {ip: pack_ip(ip, found[ip], network_of(networks, ip)) for ip in in_order}
        for each in failover:
            packed[each.ip].moving = f"operations/{each.moving}" if each.moving else ""
        for ip, ptr in (await self._ptrs.look(in_order)).items():
            packed[ip].ptr_state = _Ip.PTR_SET if ptr else _Ip.PTR_NONE
            packed[ip].ptr = ptr.target if ptr else ""
        for message in packed.values():
            message.antispam_path = f"/api/servers/{request.hostname}/antispam"
        return ip_pb2.ListServerIpsResponse(ips=packed.values())

    async def MoveIp(
        self, request: ip_pb2.MoveIpRequest, _context: Any
    ) -> operations_pb2.Operation:
        """Accepts a move."""
        found = await granted_ip(self._ips, request.ip)
        if not current_caller().may_act_on(request.hostname):
            raise server_not_granted(request.hostname)
        asked = operation_request(
            Kind.IP_MOVE, request.hostname, request.request_id, STEPS, ip=found.ip
        )
        return pack(await self._request_move(asked))


def pack_ip(ip: str, role: Role, network: Network | None) -> ip_pb2.Ip:
    """The message of an address; its PTR record is not known."""
    message = _Ip(
        ip=ip,
        family=_FAMILIES[ip_address(ip).version],
        role=_Ip.Role.Value(role),
        ptr_state=_Ip.PTR_UNKNOWN,
    )
    if network:
        message.network = network.cidr
        message.prefix_length = ip_network(network.cidr).prefixlen
        message.gateway = network.gateway
    return message
