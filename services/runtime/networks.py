"""Networks and the addresses that callers come from."""

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

_ONE_HOST = 64
"""The prefix of the network that one IPv6 host is given (RFC 4291, section 2.5.4)."""


def is_within(address: str, cidrs: Iterable[str]) -> bool:
    """Whether the address is in one of the networks. What is no address is in none."""
    parsed = parse_address(address)
    return parsed is not None and any(parsed in network for network in _networks(tuple(cidrs)))


@lru_cache(maxsize=4096)
def parse_address(text: str) -> IPv4Address | IPv6Address | None:
    """An address; an IPv4 address that came as ::ffff:a.b.c.d is an IPv4 address.

    None for what is no address at all.
    """
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


@lru_cache(maxsize=4096)
def _networks(cidrs: tuple[str, ...]) -> tuple[IPv4Network | IPv6Network, ...]:
    return tuple(ip_network(cidr) for cidr in cidrs)


def neighbourhood(address: str) -> str:
    """Whose address it is, for counting: an IPv4 address, or an IPv6 /64, which one host has."""
    parsed = parse_address(address)
    if isinstance(parsed, IPv6Address):
        return str(IPv6Network((parsed, _ONE_HOST), strict=False))
    return str(parsed or address)
