"""Which addresses are public: on the Internet, of one receiver, and hiding no other address."""

from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
)

Address = IPv4Address | IPv6Address

_GLOBAL_UNICAST = IPv6Network("2000::/3")
"""The only part of IPv6 that the IANA has given out (RFC 4291, section 2.4)."""

_NAT64 = IPv6Network("64:ff9b::/96")
"""An IPv4 address behind a translator (RFC 6052, section 2.1): in a network with IPv6 only, the way
to every public IPv4 address."""

_NOT_RECEIVERS = (
    IPv6Network("2001::/23"),  # IETF protocol assignments, Teredo among them (RFC 4380)
    IPv6Network("2002::/16"),  # 6to4, which embeds an IPv4 address (RFC 3056, ended by RFC 7526)
    IPv6Network("2001:db8::/32"),  # documentation (RFC 3849)
    IPv6Network("3fff::/20"),  # documentation (RFC 9637)
)

_RELAYS = IPv4Network("192.88.99.0/24")
"""Relays of 6to4 (RFC 7526)."""


def is_public(address: Address) -> bool:
    """Whether an address is one that anybody on the Internet may be asked to connect to."""
    if isinstance(address, IPv4Address):
        return address.is_global and not address.is_multicast and address not in _RELAYS
    if address.scope_id is not None:
        return False
    if address.ipv4_mapped is not None:
        return is_public(address.ipv4_mapped)
    if address in _NAT64:
        return is_public(IPv4Address(int(address) & 0xFFFF_FFFF))
    return (
        address in _GLOBAL_UNICAST
        and address.is_global
        and not any(address in network for network in _NOT_RECEIVERS)
    )
