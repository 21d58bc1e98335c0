"""f2h.security.v1.GatewayService."""

from dataclasses import asdict
from ipaddress import IPv6Network, ip_network
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from f2h.access.v1.reason_pb2 import Reason
from f2h.security.v1 import gateway_pb2, gateway_pb2_grpc
from google.protobuf import empty_pb2

from services.runtime.errors import ApiError, invalid
from services.runtime.paging import decode_token, encode_token
from services.runtime.ssh import is_host_key
from services.security.gateways.gateway import Gateway, Gateways, SshLogin
from services.security.inventory.located import canonical_ip

PAGE_SIZE = 50

SSH_PORT = 22

_MAPPED = IPv6Network("::ffff:0:0/96")
"""IPv4 addresses in the form of IPv6, in which none is kept."""

SOCKET = "/var/run/fail2ban/fail2ban.sock"
TIME_ZONE = "UTC"


class GatewayServicer(gateway_pb2_grpc.GatewayServiceServicer):
    """Lets the NOC say which gateways there are."""

    def __init__(self, gateways: Gateways) -> None:
        self._gateways = gateways

    async def PutGateway(
        self, request: gateway_pb2.PutGatewayRequest, _context: Any
    ) -> gateway_pb2.Gateway:
        """Keeps a gateway."""
        if request.HasField("ssh") and not is_host_key(request.ssh.host_key):
            text = "must be a key as /etc/ssh/ssh_host_ed25519_key.pub holds it"
            raise invalid("ssh.host_key", text)
        gateway = Gateway(
            name=request.name,
            region=request.region,
            networks=tuple(map(_network, request.networks)),
            ssh=_login(request.ssh) if request.HasField("ssh") else None,
            socket=request.fail2ban_socket or SOCKET,
            time_zone=_time_zone(request.time_zone or TIME_ZONE),
            mail_gate=request.mail_gate,
        )
        await self._gateways.put(gateway)
        return _pack(gateway)

    async def ListGateways(
        self, request: gateway_pb2.ListGatewaysRequest, _context: Any
    ) -> gateway_pb2.ListGatewaysResponse:
        """A page of gateways."""
        size, after = request.page_size or PAGE_SIZE, decode_token(request.page_token)
        found = [each for each in await self._gateways.all() if each.name > after]
        page = found[:size]
        return gateway_pb2.ListGatewaysResponse(
            gateways=map(_pack, page),
            next_page_token=encode_token(page[-1].name) if len(found) > size else "",
        )

    async def DeleteGateway(
        self, request: gateway_pb2.DeleteGatewayRequest, _context: Any
    ) -> empty_pb2.Empty:
        """Forgets a gateway."""
        if not await self._gateways.delete(request.name):
            raise ApiError(Reason.NOT_FOUND, f"There is no gateway {request.name}.")
        return empty_pb2.Empty()


def _login(message: gateway_pb2.SshLogin) -> SshLogin:
    return SshLogin(
        address=canonical_ip(message.address, "ssh.address"),
        port=message.port or SSH_PORT,
        user=message.user,
        host_key=message.host_key,
    )


def _network(text: str) -> str:
    network = ip_network(text)
    if isinstance(network, IPv6Network) and network.subnet_of(_MAPPED):
        raise invalid("networks", f"must have {text} in the form of IPv4")
    return str(network)


def _time_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        text = 'must be the IANA name of a time zone, for instance "Europe/Paris"'
        raise invalid("time_zone", text) from None
    return name


def _pack(gateway: Gateway) -> gateway_pb2.Gateway:
    return gateway_pb2.Gateway(
        name=gateway.name,
        region=gateway.region,
        networks=gateway.networks,
        ssh=gateway_pb2.SshLogin(**asdict(gateway.ssh)) if gateway.ssh else None,
        fail2ban_socket=gateway.socket,
        time_zone=gateway.time_zone,
        mail_gate=gateway.mail_gate,
    )
