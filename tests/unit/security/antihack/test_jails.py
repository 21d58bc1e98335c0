from ipaddress import IPv4Address, IPv6Address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.security.antihack.jails import concerning, jail_suffix

SERVICES = st.from_regex(r"[A-Za-z0-9_]{1,8}", fullmatch=True)
CLOSE = st.sampled_from(
    ["203.0.113.9", "203.0.113.90", "3.0.113.9", "103.0.113.9", "::9", "1::9", "2001:db8::9"]
)
ADDRESSES: Any = st.one_of(
    CLOSE,
    st.integers(0, 2**32 - 1).map(lambda number: str(IPv4Address(number))),
    st.integers(0, 2**128 - 1).map(lambda number: str(IPv6Address(number))),
    # Many zeros, so that forms with "::" in different places meet.
    st.lists(st.sampled_from([0, 1, 9]), min_size=8, max_size=8).map(
        lambda groups: str(IPv6Address(":".join(map(str, groups))))
    ),
)


@given(service=SERVICES, ip=ADDRESSES)
def test_a_jail_that_is_named_for_an_address_concerns_it(service: str, ip: str) -> None:
    jail = f"{service}-{jail_suffix(ip)}"
    assert concerning([jail], ip) == [jail]


@given(service=SERVICES, ip=ADDRESSES, other=ADDRESSES)
def test_a_jail_of_one_address_never_concerns_another(service: str, ip: str, other: str) -> None:
    assert (concerning([f"{service}-{jail_suffix(ip)}"], other) != []) == (ip == other)


@given(jail=st.text(alphabet="ab1 .:-_/9\n203", max_size=24), ip=ADDRESSES, other=ADDRESSES)
def test_whatever_a_jail_is_called_it_concerns_one_address_at_most(
    jail: str, ip: str, other: str
) -> None:
    if ip != other:
        assert not (concerning([jail], ip) and concerning([jail], other))


@pytest.mark.parametrize(
    "jail",
    [
        "sshd",
        "203.0.113.9",
        "-203.0.113.9",
        "sshd203.0.113.9",
        "1203.0.113.9",
        "sshd-1203.0.113.9",
        "sshd-203.0.113.90",
        "sshd-203.0.113",
        "sshd-203.0.113.9-",
        "sshd-203.0.113.9\n",
        "sshd -203.0.113.9",
        "sshd--203.0.113.9",
        "a-sshd-203.0.113.9",
        "sshd-203.0.113.90-203.0.113.9",
        "sshd.203.0.113.9",
        "sshd-203-0-113-9",
        "sshd-203.0.113.09",
        "sshd-::ffff:203.0.113.9",
        "sshd-2001-db8--9",
        "sshd–203.0.113.9",  # a dash, and no hyphen
        "sshđ-203.0.113.9",
        "sshd-203.0.113.9/32",
        "",
    ],
)
def test_what_only_looks_like_its_jail_concerns_no_address(jail: str) -> None:
    assert concerning([jail], "203.0.113.9") == []


@pytest.mark.parametrize(
    ("ip", "name"),
    [
        ("203.0.113.9", "sshd-203.0.113.9"),
        ("2001:db8::9", "sshd-2001-db8--9"),
        ("::1", "sshd---1"),
        ("2001:db8::", "sshd-2001-db8--"),
    ],
)
def test_a_jail_is_named_as_it_is_documented(ip: str, name: str) -> None:
    assert concerning(["other", name, "sshd-192.0.2.1"], ip) == [name]


@pytest.mark.parametrize(
    ("name", "ip"),
    [
        ("sshd-2001-db8--90", "2001:db8::9"),
        ("sshd-2001-db8-0-0-0-0-0-9", "2001:db8::9"),
        ("sshd-12001-db8--9", "2001:db8::9"),
        ("sshd-1--9", "::9"),
        ("sshd---9", "1::9"),
        ("1--9", "::9"),
    ],
)
def test_ipv6_addresses_are_told_apart_as_well(name: str, ip: str) -> None:
    assert concerning([name], ip) == []
