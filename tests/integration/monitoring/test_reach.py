"""Reachability: ICMP echo and TCP between network namespaces, and on loopback."""

import socket

import pytest

from lab.namespaces import Namespaces
from lab.ports import HOST, free_port
from services.server_ops.adapters.reach import NetworkReach

HERE, THERE = "10.251.88.1", "10.251.88.2"


@pytest.mark.parametrize("address", [HOST, "::1"])
async def test_who_answers_is_reached(address: str) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.create_server((address, 0), family=family) as listening:
        reach = NetworkReach(icmp=True, tcp_port=listening.getsockname()[1])
        assert (await reach.icmp(address), await reach.tcp(address)) == (True, True)


async def test_a_port_that_is_closed_is_not_reached_though_the_machine_is() -> None:
    reach = NetworkReach(icmp=True, tcp_port=free_port())
    assert (await reach.icmp(HOST), await reach.tcp(HOST)) == (True, False)


async def test_what_is_not_tried_is_not_known() -> None:
    reach = NetworkReach(icmp=False, tcp_port=0)
    assert (await reach.icmp(HOST), await reach.tcp(HOST)) == (None, None)


async def test_a_machine_that_goes_away_is_not_reached() -> None:
    with Namespaces() as namespaces:
        machine = namespaces.add("m")
        namespaces.cable("", machine, (f"{HERE}/30", f"{THERE}/30"), names=("", "eth0"))
        reach = NetworkReach(icmp=True, tcp_port=22)
        assert (await reach.icmp(THERE), await reach.tcp(THERE)) == (True, False)
        namespaces.run(machine, "ip", "link", "set", "eth0", "down")
        assert (await reach.icmp(THERE), await reach.tcp(THERE)) == (False, False)
