from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.server_ops.webhooks.addresses import is_public

SPECIAL_V4 = [
    IPv4Network(each)
    for each in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
]
"""The IANA's registry of special-purpose IPv4 addresses, and multicast."""

SPECIAL_V6 = [
    IPv6Network(each)
    for each in (
        "::/96",
        "64:ff9b:1::/48",
        "100::/64",
        "2001::/32",
        "2001:2::/48",
        "2001:db8::/32",
        "2002::/16",
        "3fff::/20",
        "5f00::/16",
        "fc00::/7",
        "fe80::/10",
        "fec0::/10",
        "ff00::/8",
    )
]


def within(network: IPv4Network | IPv6Network) -> st.SearchStrategy[int]:
    return st.integers(int(network.network_address), int(network.broadcast_address))


private_v4 = st.one_of([within(network) for network in SPECIAL_V4]).map(IPv4Address)
any_v4 = st.integers(0, 2**32 - 1).map(IPv4Address)
public_v4 = any_v4.filter(
    lambda address: (
        not any(address in network for network in (*SPECIAL_V4, IPv4Network("192.0.0.0/24")))
    )
)


def disguises(address: IPv4Address) -> list[IPv6Address]:
    """Every way to write an IPv4 address as an IPv6 one."""
    number = int(address)
    return [
        IPv6Address(0xFFFF << 32 | number),  # IPv4-mapped
        IPv6Address(number),  # IPv4-compatible
        IPv6Address(int(IPv6Address("64:ff9b::")) | number),  # NAT64
        IPv6Address(int(IPv6Address("64:ff9b:1::")) | number),  # NAT64 for local use
        IPv6Address(0x2002 << 112 | number << 80),  # 6to4
        IPv6Address(0x20010000 << 96 | number << 64),  # Teredo server
        IPv6Address(0x20010000 << 96 | (number ^ 0xFFFFFFFF)),  # Teredo client
    ]


@pytest.mark.parametrize(
    "text",
    [
        "127.0.0.1",
        "0.0.0.0",
        "169.254.169.254",
        "255.255.255.255",
        "::",
        "::1",
        "::ffff:10.0.0.1",
        "fe80::1%eth0",
        "2606:4700::1%1",
        "fd00:ec2::254",
    ],
)
def test_what_is_not_public(text: str) -> None:
    assert not is_public(ip_address(text))


@pytest.mark.parametrize(
    "text", ["1.1.1.1", "149.202.215.3", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"]
)
def test_what_is_public(text: str) -> None:
    assert is_public(ip_address(text))


@given(private_v4)
def test_no_special_address_is_public_however_it_is_written(address: IPv4Address) -> None:
    assert not is_public(address)
    assert not any(is_public(each) for each in disguises(address))


@given(st.one_of([within(network) for network in SPECIAL_V6]).map(IPv6Address))
def test_no_special_ipv6_address_is_public(address: IPv6Address) -> None:
    assert not is_public(address)


@given(public_v4)
def test_every_other_ipv4_address_is_public_and_so_is_its_nat64(address: IPv4Address) -> None:
    mapped, _, nat64, *_ = disguises(address)
    assert is_public(address)
    assert is_public(mapped)
    assert is_public(nat64)


@given(any_v4 | st.integers(0, 2**128 - 1).map(IPv6Address))
def test_no_public_address_is_what_python_calls_private(
    address: IPv4Address | IPv6Address,
) -> None:
    if is_public(address):
        mapped = getattr(address, "ipv4_mapped", None) or address
        assert mapped.is_global
        assert not (mapped.is_private or mapped.is_multicast or mapped.is_loopback)
        assert not (mapped.is_link_local or mapped.is_unspecified)
