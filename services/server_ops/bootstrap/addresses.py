"""Addresses: failover moves, networks and routers, PTR records."""

from collections.abc import Mapping

import dns.asyncresolver
import dns.tsig
import grpc.aio
from f2h.server_ops.v1 import (
    address_pb2_grpc,
    ip_pb2_grpc,
    network_pb2_grpc,
    ptr_pb2_grpc,
    router_pb2_grpc,
)

from services.runtime.settings import host_and_port
from services.server_ops.adapters.dns import DnsServer, NoDns, ReverseDns
from services.server_ops.adapters.linux_router import LinuxRouting
from services.server_ops.bootstrap.ground import Ground
from services.server_ops.ips.request import RequestMove
from services.server_ops.ips.workflow import MoveAddress
from services.server_ops.operations.operation import Kind
from services.server_ops.operations.request import RequestOperation
from services.server_ops.operations.workflow import Act
from services.server_ops.ptr.change import Ptrs
from services.server_ops.ptr.ptr import Dns
from services.server_ops.rpc.addresses import AddressServicer
from services.server_ops.rpc.ips import IpServicer
from services.server_ops.rpc.networks import NetworkServicer
from services.server_ops.rpc.ptrs import PtrServicer
from services.server_ops.rpc.routers import RouterServicer
from services.server_ops.settings import ServerOpsSettings
from services.server_ops.store.ips import SqlIps
from services.server_ops.store.networks import SqlNetworks, SqlRouters

SEE_TIMES = 4.0
"""How many times as long as a router may take it is asked what came of a move."""


class Addresses:
    """What shows addresses, moves them, and names them in the DNS."""

    def __init__(self, ground: Ground) -> None:
        settings = ground.settings
        self._servers = ground.servers
        self.ips = SqlIps(ground.database)
        self._networks = SqlNetworks(ground.database)
        self._routers = SqlRouters(ground.database)
        self._ptrs = Ptrs(_dns(settings), forward_required=settings.ptr_forward_required)
        move = MoveAddress(
            ground.servers,
            ground.operations,
            self.ips,
            self._networks,
            self._routers,
            routing=LinuxRouting(
                settings.ssh_key, settings.router_command, settings.router_seconds
            ),
            see_seconds=SEE_TIMES * settings.router_seconds,
            clock=ground.clock,
        )
        self.acts: Mapping[Kind, Act] = {Kind.IP_MOVE: move}

    def add_services(self, to: grpc.aio.Server, request: RequestOperation) -> None:
        """Adds what answers calls."""
        move = RequestMove(request, self._servers, self._networks)
        ips = IpServicer(self._servers, self.ips, self._networks, self._ptrs, move)
        ip_pb2_grpc.add_IpServiceServicer_to_server(ips, to)
        located = AddressServicer(self._servers, self.ips)
        address_pb2_grpc.add_AddressServiceServicer_to_server(located, to)
        ptr_pb2_grpc.add_PtrServiceServicer_to_server(PtrServicer(self.ips, self._ptrs), to)
        networks = NetworkServicer(self._networks)
        network_pb2_grpc.add_NetworkServiceServicer_to_server(networks, to)
        router_pb2_grpc.add_RouterServiceServicer_to_server(RouterServicer(self._routers), to)


def _dns(settings: ServerOpsSettings) -> Dns:
    if not settings.dns_server:
        return NoDns()
    key = dns.tsig.Key(settings.dns_key_name, settings.dns_key, settings.dns_key_algorithm)
    resolver = dns.asyncresolver.Resolver(configure=not settings.dns_resolver)
    if settings.dns_resolver:
        address, resolver.port = host_and_port(settings.dns_resolver)
        resolver.nameservers = [address]
    server = DnsServer(*host_and_port(settings.dns_server), key)
    return ReverseDns(server, resolver, settings.ptr_ttl_seconds)
