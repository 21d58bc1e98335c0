"""What a demonstration consists of: an account, its servers, and a key for them."""

from ipaddress import ip_address, ip_network

from f2h.server_ops.v1 import inventory_pb2

ACCOUNT = "demo"

EMAIL = "demo@example.net"
"""Who signs in for the account, as its owner."""

BMC_USERNAME = "admin"

HOSTNAME = "ns3070587.ip-149-202-215.eu"
"""The server of the product's own example."""

_SERVERS = (
    (HOSTNAME, "149.202.215.3", "EU-WEST-F2H"),
    ("ns3070588.ip-149-202-215.eu", "149.202.215.4", "EU-WEST-F2H"),
    ("ns5010021.ip-198-51-100.us", "198.51.100.21", "US-EAST-F2H"),
    ("ns5010022.ip-198-51-100.us", "198.51.100.22", "US-EAST-F2H"),
)

FIRST_BMC_PORT = 16230

GATEWAYS = (
    ("gw1.eu-west", "EU", "149.202.215.0/24"),
    ("gw1.us-east", "US", "198.51.100.0/24"),
)
"""Name, region and network of the gateways before them."""

BANS = {"192.0.2.66": 3600, "192.0.2.67": -1}
"""What each server's jail blocks at the beginning, for how many seconds; -1: for good."""


def jails(network: str) -> dict[str, dict[str, int]]:
    """The jails of a gateway before this network, with their bans."""
    return {f"sshd-{ip}": BANS for _, ip, _ in _SERVERS if ip_address(ip) in ip_network(network)}


def servers(
    bmc_password: str, first_port: int = FIRST_BMC_PORT
) -> list[inventory_pb2.PutServerRequest]:
    """The servers of the account, with BMCs on loopback, on one UDP port after the other."""
    return [
        inventory_pb2.PutServerRequest(
            hostname=hostname,
            account=ACCOUNT,
            ips=[ip],
            datacenter=datacenter,
            mac=f"0c:c4:7a:00:00:{number:02x}",
            bmc_address="127.0.0.1",
            bmc_port=first_port + number,
            bmc_username=BMC_USERNAME,
            bmc_password=bmc_password,
        )
        for number, (hostname, ip, datacenter) in enumerate(_SERVERS)
    ]
