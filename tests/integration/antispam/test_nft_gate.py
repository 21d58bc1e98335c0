"""The mail gate on a gateway that is a network namespace: what TCP connections come to."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

import pytest

from lab.namespaces import inside
from services.security.adapters.hosts import GatewayHosts
from services.security.adapters.nft_gate import TABLE, NftGate
from services.security.antispam.gate import GateFailed
from services.security.gateways.gateway import Gateway, SshLogin
from tests.integration.antispam.conftest import (
    GATEWAY,
    OTHERS,
    PRIVATE,
    SENDERS,
    SMTP,
    SUBMISSION,
    World,
)

_HOLD = """
import socket, sys
with socket.create_connection((sys.argv[2], int(sys.argv[3])), 5, (sys.argv[1], 0)) as connection:
    print(connection.recv(100).decode().strip(), flush=True)
    sys.stdin.readline()
    connection.sendall(b"HELO here\\r\\n")
    try:
        print(connection.recv(100))
    except OSError as error:
        print(type(error).__name__)
"""


@dataclass
class Contract:
    """The gate, and the gateway as it is reached."""

    gate: NftGate
    gateway: Gateway


@pytest.fixture(params=["here", "over SSH"])
async def contract(request: pytest.FixtureRequest, world: World) -> AsyncIterator[Contract]:
    world.nft("flush", "ruleset")
    hosts = GatewayHosts(PRIVATE, seconds=10)
    if request.param == "here":
        command = " ".join(inside(world.gateway, ["nft"]))
        yield Contract(NftGate(hosts, command), Gateway("here", "EU", (), None))
    else:
        login = SshLogin(GATEWAY, world.sshd.port, "root", world.sshd.host_key)
        yield Contract(NftGate(hosts), Gateway("far", "EU", (), login))
    await hosts.close()


@pytest.mark.parametrize("version", [4, 6], ids=["IPv4", "IPv6"])
async def test_a_block_is_felt_by_connections_to_port_25_alone(
    world: World, contract: Contract, version: int
) -> None:
    gate, gateway = contract.gate, contract.gateway
    sender, other = SENDERS[version], OTHERS[version]
    assert world.reach(sender, SMTP) == "220 here"
    assert not await gate.holds(gateway, sender)

    await gate.block(gateway, [sender])
    assert await gate.holds(gateway, sender)
    assert await gate.blocked(gateway) == {sender}
    began = time.monotonic()
    assert world.reach(sender, SMTP) == "ConnectionRefusedError"
    assert time.monotonic() - began < 3  # it is told at once, and does not wait
    assert world.reach(sender, SUBMISSION) == "220 here"
    assert world.reach(other, SMTP) == "220 here"
    assert world.reach(SENDERS[10 - version], SMTP) == "220 here"

    await gate.lift(gateway, [sender])
    assert not await gate.holds(gateway, sender)
    assert world.reach(sender, SMTP) == "220 here"


@pytest.mark.parametrize("version", [4, 6], ids=["IPv4", "IPv6"])
async def test_a_block_ends_connections_that_are_open(
    world: World, contract: Contract, version: int
) -> None:
    command = world.connecting(_HOLD, SENDERS[version], SMTP)
    held = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert held.stdout is not None
    assert await held.stdout.readline() == b"220 here\n"
    await contract.gate.block(contract.gateway, [SENDERS[version]])
    async with asyncio.timeout(10):
        said, _ = await held.communicate(b"\n")
    assert said.strip() == b"ConnectionResetError"


async def test_changes_that_are_made_already_change_nothing(
    world: World, contract: Contract
) -> None:
    gate, gateway = contract.gate, contract.gateway
    await gate.lift(gateway, [SENDERS[4]])
    for ip in (SENDERS[4], OTHERS[4], SENDERS[6]):
        for _ in range(2):
            await gate.block(gateway, [ip])
    assert await gate.blocked(gateway) == {SENDERS[4], OTHERS[4], SENDERS[6]}
    listed = json.loads(world.nft("-j", "list", "table", "inet", TABLE))["nftables"]
    assert [kind for each in listed for kind in each if kind in {"chain", "rule"}] == [
        "chain",
        "rule",
        "rule",
    ]
    for _ in range(2):
        await gate.lift(gateway, [OTHERS[4]])
    assert await gate.blocked(gateway) == {SENDERS[4], SENDERS[6]}


@pytest.mark.parametrize("lost", [("ruleset",), ("table", "inet", TABLE)], ids=" ".join)
async def test_a_gate_that_was_lost_is_whole_after_the_next_block(
    world: World, contract: Contract, lost: tuple[str, ...]
) -> None:
    gate, gateway = contract.gate, contract.gateway
    await gate.block(gateway, [SENDERS[4]])
    assert await gate.holds(gateway, SENDERS[4])
    world.nft("flush", *lost)
    assert not await gate.holds(gateway, SENDERS[4])  # with its rules alone gone, too
    assert world.reach(SENDERS[4], SMTP) == "220 here"
    await gate.block(gateway, [SENDERS[4]])
    assert await gate.holds(gateway, SENDERS[4])
    assert world.reach(SENDERS[4], SMTP) == "ConnectionRefusedError"


async def test_what_others_have_on_the_gateway_stays(world: World, contract: Contract) -> None:
    world.nft("add table inet filter; add chain inet filter forward { type filter hook forward "
              "priority -10; policy accept; }; add rule inet filter forward accept")  # fmt: skip
    before = world.nft("list", "table", "inet", "filter")
    await contract.gate.block(contract.gateway, [SENDERS[4]])
    assert world.reach(SENDERS[4], SMTP) == "ConnectionRefusedError"  # theirs accept it in vain
    await contract.gate.lift(contract.gateway, [SENDERS[4]])
    assert world.nft("list", "table", "inet", "filter") == before


async def test_what_is_refused_is_counted(world: World, contract: Contract) -> None:
    await contract.gate.block(contract.gateway, [SENDERS[4]])
    world.reach(SENDERS[4], SMTP)
    await contract.gate.block(contract.gateway, [OTHERS[4]])
    assert "packets 1 " in world.nft("list", "counter", "inet", TABLE, "refused")


async def test_a_table_that_is_not_as_ours_is_refused_as_a_whole(
    world: World, contract: Contract
) -> None:
    world.nft(f"add table inet {TABLE}; add set inet {TABLE} blocked4 {{ type ipv6_addr; }}")
    before = world.nft("list", "ruleset")
    with pytest.raises(GateFailed, match="refused the command"):
        await contract.gate.block(contract.gateway, [SENDERS[4]])
    assert world.nft("list", "ruleset") == before


async def test_fifty_thousand_addresses_are_read(
    world: World, contract: Contract, tmp_path: Path
) -> None:
    gate, gateway = contract.gate, contract.gateway
    await gate.block(gateway, [SENDERS[4]])
    many = [str(IPv4Address("10.0.0.0") + number) for number in range(25_000)]
    many6 = [str(IPv6Address("2001:db8:2::") + number) for number in range(25_000)]
    bulk = tmp_path / "bulk.nft"
    bulk.write_text(
        f"add element inet {TABLE} blocked4 {{ {','.join(many)} }}\n"
        f"add element inet {TABLE} blocked6 {{ {','.join(many6)} }}\n"
    )
    world.nft("-f", str(bulk))
    began = time.monotonic()
    assert await gate.blocked(gateway) == {SENDERS[4], *many, *many6}
    assert time.monotonic() - began < 5
    await gate.block(gateway, [OTHERS[4]])
    await gate.lift(gateway, [many6[7]])
    assert await gate.holds(gateway, OTHERS[4])
    assert not await gate.holds(gateway, many6[7])


async def test_a_gateway_without_nft_refuses(contract: Contract) -> None:
    hosts = contract.gate._hosts
    for command in ("false", "/no/such/nft"):
        with pytest.raises(GateFailed, match="refused the command"):
            await NftGate(hosts, command).blocked(contract.gateway)
        with pytest.raises(GateFailed, match="refused the command"):
            await NftGate(hosts, command).block(contract.gateway, [SENDERS[4]])
    with pytest.raises(GateFailed, match="does not answer as it should"):
        await NftGate(hosts, "echo").blocked(contract.gateway)
