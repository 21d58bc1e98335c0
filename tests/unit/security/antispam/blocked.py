"""Blocks and unblockings for the tests of what is done with them."""

from datetime import timedelta
from uuid import uuid4

from services.security.antispam.block import Unblocking
from services.security.antispam.states import State
from services.security.store.blocks import SqlBlocks
from tests.unit.security.fakes import FakeClock, gateway

IP = "203.0.113.9"
OTHER = "203.0.113.90"
GW1 = gateway("gw1", mail_gate=True)


async def block(blocks: SqlBlocks, clock: FakeClock, ip: str = IP) -> None:
    await blocks.block(ip, "It sends spam.", "noc", clock(), lambda _: timedelta(0))


async def begin(blocks: SqlBlocks, clock: FakeClock, ip: str = IP) -> Unblocking:
    unblocking = Unblocking(uuid4(), ip, "ns1.example.net", "demo", "RUNNING", clock(), clock())
    await blocks.begin(unblocking)
    return unblocking


async def state(blocks: SqlBlocks, ip: str = IP) -> State:
    return (await blocks.of([ip]))[ip].state
