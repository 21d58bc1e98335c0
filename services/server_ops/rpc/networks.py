"""f2h.server_ops.v1.NetworkService."""

from ipaddress import ip_address, ip_network
from typing import Any

from f2h.access.v1.reason_pb2 import Reason
from f2h.server_ops.v1 import network_pb2, network_pb2_grpc
from google.protobuf import empty_pb2

from services.runtime.errors import ApiError, invalid
from services.server_ops.inventory.server import canonical_ip
from services.server_ops.ips.ip import Network, NetworkKnown, Networks


class NetworkServicer(network_pb2_grpc.NetworkServiceServicer):
    """Lets the NOC say which networks addresses are in."""

    def __init__(self, networks: Networks) -> None:
        self._networks = networks

    async def PutNetwork(
        self, request: network_pb2.PutNetworkRequest, _context: Any
    ) -> network_pb2.Network:
        """Keeps a network."""
        cidr = ip_network(request.cidr)
        gateway = canonical_ip(request.gateway) if request.gateway else ""
        if gateway and ip_address(gateway).version != cidr.version:
            raise invalid("gateway", f"must be of the network's family, IPv{cidr.version}")
        network = Network(request.name, str(cidr), gateway, request.router)
        try:
            await self._networks.put(network)
        except LookupError:
            raise invalid("router", "must be the name of a registered router, or empty") from None
        except NetworkKnown as known:
            text = f"{cidr} is known already, as {known.name}."
            raise ApiError(Reason.ALREADY_EXISTS, text, metadata={"resource": known.name}) from None
        return _pack(network)

    async def ListNetworks(
        self, _request: network_pb2.ListNetworksRequest, _context: Any
    ) -> network_pb2.ListNetworksResponse:
        """All networks."""
        networks = await self._networks.all()
        return network_pb2.ListNetworksResponse(networks=map(_pack, networks))

    async def DeleteNetwork(
        self, request: network_pb2.DeleteNetworkRequest, _context: Any
    ) -> empty_pb2.Empty:
        """Forgets a network."""
        if not await self._networks.delete(request.name):
            raise ApiError(Reason.NOT_FOUND, f"There is no network {request.name}.")
        return empty_pb2.Empty()


def _pack(network: Network) -> network_pb2.Network:
    return network_pb2.Network(
        name=network.name, cidr=network.cidr, gateway=network.gateway, router=network.router
    )
