import asyncio
from contextlib import suppress
from datetime import timedelta
from uuid import uuid4

import pytest
from structlog.testing import capture_logs

from services.runtime.database import Database
from services.security.antispam.block import NotBlocked, Unblocking
from services.security.antispam.gates import (
    CompareGates,
    FinishUnblockings,
    GateView,
    MailGates,
)
from services.security.antispam.states import State
from services.security.store.blocks import SqlBlocks
from tests.unit.security.fakes import FakeClock, FakeGate, FakeGateways, Told, gateway

IP = "203.0.113.9"
OTHER = "203.0.113.90"
PATIENCE = timedelta(seconds=30)


async def block(blocks: SqlBlocks, clock: FakeClock, ip: str = IP) -> None:
    await blocks.block(ip, "It sends spam.", "noc", clock(), lambda _: timedelta(0))


async def begin(blocks: SqlBlocks, clock: FakeClock, ip: str = IP) -> Unblocking:
    unblocking = Unblocking(uuid4(), ip, "ns1.example.net", "demo", "RUNNING", clock(), clock())
    await blocks.begin(unblocking)
    return unblocking


async def state(blocks: SqlBlocks, ip: str = IP) -> State:
    return (await blocks.of([ip]))[ip].state


# --- Settling one address


async def test_a_block_is_made_on_every_mail_gate_that_protects_the_address(
    gates: MailGates,
    blocks: SqlBlocks,
    gate: FakeGate,
    gateways: FakeGateways,
    clock: FakeClock,
) -> None:
    await gateways.put(gateway("gw4", mail_gate=True, networks=("192.0.2.0/24",)))
    await block(blocks, clock)
    assert await gates.settle(IP) == [GateView("gw1", blocks=True), GateView("gw2", blocks=True)]
    assert gate.held == {"gw1": {IP}, "gw2": {IP}}


async def test_what_is_not_blocked_is_lifted(
    gates: MailGates, blocks: SqlBlocks, gate: FakeGate
) -> None:
    gate.held["gw1"] = {IP, OTHER}
    assert await gates.settle(IP) == [GateView("gw1", blocks=False), GateView("gw2", blocks=False)]
    assert gate.held["gw1"] == {OTHER}
    assert gate.changes() == [("lift", "gw1", IP)]


async def test_a_gate_that_does_it_already_is_told_nothing(
    gates: MailGates, blocks: SqlBlocks, gate: FakeGate, clock: FakeClock
) -> None:
    await block(blocks, clock)
    await gates.settle(IP)
    gate.calls.clear()
    await gates.settle(IP)
    assert gate.changes() == []


async def test_a_gate_that_fails_is_not_known_to_do_it_and_hinders_no_other(
    gates: MailGates, blocks: SqlBlocks, gate: FakeGate, clock: FakeClock
) -> None:
    gate.failing.add("gw1")
    await block(blocks, clock)
    assert await gates.settle(IP) == [
        GateView("gw1", blocks=None, trouble="It does not answer."),
        GateView("gw2", blocks=True),
    ]


async def test_a_gate_that_takes_the_change_and_does_not_make_it_is_in_trouble(
    gates: MailGates, blocks: SqlBlocks, gate: FakeGate, clock: FakeClock
) -> None:
    gate.deaf.add("gw1")
    await block(blocks, clock)
    one, two = await gates.settle(IP)
    assert one == GateView("gw1", blocks=False, trouble="It was told, and does not do it.")
    assert two == GateView("gw2", blocks=True)


async def test_a_block_that_is_lifted_while_a_gate_is_told_ends_lifted(
    gates: MailGates, blocks: SqlBlocks, gate: FakeGate, clock: FakeClock
) -> None:
    await block(blocks, clock)

    async def lifted(method: str, ip: str) -> None:
        if method == "block":
            with suppress(NotBlocked):  # the other gate was told at the same time
                await blocks.override(ip, clock(), forget=False)

    gate.during = lifted
    assert {each.blocks for each in await gates.settle(IP)} == {False}
    assert gate.held["gw1"] == gate.held["gw2"] == set()


async def test_a_block_that_is_made_while_a_gate_lifts_ends_blocked(
    gates: MailGates, blocks: SqlBlocks, gate: FakeGate, clock: FakeClock
) -> None:
    gate.held.update({"gw1": {IP}, "gw2": {IP}})
    made = asyncio.Lock()

    async def blocked(method: str, _ip: str) -> None:
        async with made:
            if method == "lift" and not await blocks.of([IP]):
                await block(blocks, clock)

    gate.during = blocked
    assert {each.blocks for each in await gates.settle(IP)} == {True}
    assert gate.held == {"gw1": {IP}, "gw2": {IP}}


async def test_two_who_settle_at_once_end_as_the_table_says(
    gates: MailGates, blocks: SqlBlocks, gate: FakeGate, clock: FakeClock
) -> None:
    await block(blocks, clock)
    first = asyncio.create_task(gates.settle(IP))
    await blocks.override(IP, clock(), forget=False)
    await asyncio.gather(first, gates.settle(IP))
    assert gate.held["gw1"] == gate.held["gw2"] == set()


# --- Comparing everything


async def test_a_gate_that_lost_its_blocks_gets_them_back(
    gates: MailGates, blocks: SqlBlocks, gate: FakeGate, clock: FakeClock
) -> None:
    await block(blocks, clock)
    await block(blocks, clock, OTHER)
    gate.held["gw2"] = {IP, OTHER}
    await gates.compare()
    assert gate.held == {"gw1": {IP, OTHER}, "gw2": {IP, OTHER}}
    assert gate.changes() == [("block", "gw1", IP), ("block", "gw1", OTHER)]


async def test_a_gate_gets_no_block_of_an_address_that_it_does_not_protect(
    gates: MailGates,
    blocks: SqlBlocks,
    gate: FakeGate,
    gateways: FakeGateways,
    clock: FakeClock,
) -> None:
    await gateways.put(gateway("gw2", mail_gate=True, networks=("192.0.2.0/24",)))
    await block(blocks, clock)
    await gates.compare()
    assert (gate.held["gw1"], gate.held["gw2"]) == ({IP}, set())
    assert {each[1] for each in gate.calls} == {"gw1", "gw2"}


async def test_a_block_that_was_lifted_while_the_gate_was_away_is_lifted_there(
    gates: MailGates, blocks: SqlBlocks, gate: FakeGate, clock: FakeClock
) -> None:
    await block(blocks, clock)
    await blocks.override(IP, clock(), forget=False)
    gate.held["gw1"] = {IP}
    with capture_logs() as logs:
        await gates.compare()
    assert gate.held["gw1"] == set()
    assert logs == []  # it is no entry of the gate's own


async def test_an_address_that_is_unblocked_now_is_left_to_who_does_it(
    gates: MailGates, blocks: SqlBlocks, gate: FakeGate, clock: FakeClock
) -> None:
    await block(blocks, clock)
    await begin(blocks, clock)
    gate.held["gw1"] = {IP}
    await gates.compare()
    assert gate.changes() == []


async def test_what_a_gate_blocks_of_its_own_is_left_alone_and_logged_once(
    gates: MailGates, gate: FakeGate
) -> None:
    gate.held["gw1"] = {"192.0.2.7"}
    with capture_logs() as logs:
        await gates.compare()
        await gates.compare()
    assert gate.held["gw1"] == {"192.0.2.7"}
    assert gate.changes() == []
    assert [(each["gateway"], each["ip"]) for each in logs] == [("gw1", "192.0.2.7")]


async def test_a_gate_that_does_not_say_what_it_blocks_is_logged_and_hinders_no_other(
    gates: MailGates, blocks: SqlBlocks, gate: FakeGate, clock: FakeClock
) -> None:
    await block(blocks, clock)
    gate.failing.add("gw1")
    with capture_logs() as logs:
        await gates.compare()
    assert [each["gateway"] for each in logs] == ["gw1"]
    assert gate.held["gw2"] == {IP}


async def test_a_gate_that_does_not_do_it_is_not_told_of_everything_else(
    gates: MailGates, blocks: SqlBlocks, gate: FakeGate, clock: FakeClock
) -> None:
    gate.deaf.add("gw1")
    for number in range(10):
        await block(blocks, clock, f"203.0.113.{number}")
    with capture_logs() as logs:
        await gates.compare()
    assert [(each["gateway"], each["ip"]) for each in logs] == [("gw1", "203.0.113.0")]
    assert len(gate.held["gw2"]) == 10


async def test_gates_are_compared_when_it_is_time(gates: MailGates, gate: FakeGate) -> None:
    now = 1000.0
    compare = CompareGates(gates, 60.0, lambda: now)
    await compare()
    assert len(gate.calls) == 2
    now += 59
    await compare()
    assert len(gate.calls) == 2
    now += 1
    await compare()
    assert len(gate.calls) == 4


# --- Carrying unblockings to their end


@pytest.fixture
async def unblocking(
    blocks: SqlBlocks, gates: MailGates, gate: FakeGate, clock: FakeClock
) -> Unblocking:
    await block(blocks, clock)
    await gates.settle(IP)
    gate.calls.clear()
    clock.pass_(60)
    return await begin(blocks, clock)


@pytest.fixture
def finish(blocks: SqlBlocks, gates: MailGates, told: Told, clock: FakeClock) -> FinishUnblockings:
    return FinishUnblockings(blocks, gates, told, clock, PATIENCE)


async def found(blocks: SqlBlocks, unblocking: Unblocking) -> Unblocking:
    there = await blocks.find(unblocking.id)
    assert there is not None
    return there


async def test_an_unblocking_succeeds_when_every_gate_was_seen_to_have_lifted_the_block(
    finish: FinishUnblockings,
    blocks: SqlBlocks,
    gate: FakeGate,
    told: Told,
    clock: FakeClock,
    unblocking: Unblocking,
) -> None:
    clock.pass_(1)
    await finish()
    ended = await found(blocks, unblocking)
    assert (ended.state, ended.end_time, ended.failure) == ("SUCCEEDED", clock(), None)
    assert gate.held == {"gw1": set(), "gw2": set()}
    assert [each[0] for each in gate.calls if each[1] == "gw1"] == ["holds", "lift", "holds"]
    there = (await blocks.of([IP]))[IP]
    assert (there.state, there.lift_time, there.operation) == (State.UNBLOCKED, clock(), None)
    data = {"server": "ns1.example.net", "ip": IP, "operation": unblocking.name}
    assert told.events == [("demo", "ADDRESS_UNBLOCKED", data)]


async def test_an_unblocking_waits_for_a_gate_that_is_down(
    finish: FinishUnblockings,
    blocks: SqlBlocks,
    gate: FakeGate,
    told: Told,
    clock: FakeClock,
    unblocking: Unblocking,
) -> None:
    gate.failing.add("gw2")
    await finish()
    assert (await found(blocks, unblocking)).state == "RUNNING"
    assert await state(blocks) is State.UNBLOCKING
    assert told.events == []
    clock.now = unblocking.create_time + PATIENCE - timedelta(milliseconds=1)
    await finish()
    assert (await found(blocks, unblocking)).state == "RUNNING"
    gate.failing.clear()
    await finish()
    assert (await found(blocks, unblocking)).state == "SUCCEEDED"
    assert len(told.events) == 1


async def test_after_its_patience_an_unblocking_has_failed_and_everything_is_blocked_again(
    finish: FinishUnblockings,
    blocks: SqlBlocks,
    gate: FakeGate,
    told: Told,
    clock: FakeClock,
    unblocking: Unblocking,
) -> None:
    gate.failing.add("gw2")
    await finish()
    assert gate.held["gw1"] == set()
    clock.now = unblocking.create_time + PATIENCE
    await finish()
    ended = await found(blocks, unblocking)
    assert (ended.state, ended.end_time) == ("FAILED", clock())
    assert ended.failure is not None
    assert (ended.failure["reason"], ended.failure["gateway"]) == ("MAIL_GATE_FAILED", "gw2")
    assert "It does not answer." in ended.failure["message"]
    assert gate.held["gw1"] == {IP}
    there = (await blocks.of([IP]))[IP]
    assert (there.state, there.operation) == (State.BLOCKED_FOR_SPAM, None)
    assert told.events == []


async def test_a_gate_that_does_not_lift_it_although_told_is_a_failure_too(
    finish: FinishUnblockings,
    blocks: SqlBlocks,
    gate: FakeGate,
    clock: FakeClock,
    unblocking: Unblocking,
) -> None:
    gate.deaf.add("gw1")
    clock.now = unblocking.create_time + PATIENCE
    await finish()
    ended = await found(blocks, unblocking)
    assert ended.failure is not None
    assert ended.failure["gateway"] == "gw1"
    assert gate.held == {"gw1": {IP}, "gw2": {IP}}


async def test_where_no_gate_protects_the_address_there_is_nothing_to_wait_for(
    finish: FinishUnblockings, blocks: SqlBlocks, clock: FakeClock
) -> None:
    await block(blocks, clock, "192.0.2.1")
    there = await begin(blocks, clock, "192.0.2.1")
    await finish()
    assert (await found(blocks, there)).state == "SUCCEEDED"


async def test_two_processes_end_an_unblocking_once(
    database: Database,
    gateways: FakeGateways,
    gate: FakeGate,
    told: Told,
    clock: FakeClock,
    blocks: SqlBlocks,
    unblocking: Unblocking,
) -> None:
    others = [
        FinishUnblockings(store, MailGates(gateways, store, gate), told, clock, PATIENCE)
        for store in (SqlBlocks(database), SqlBlocks(database))
    ]
    await asyncio.gather(*(each() for each in others))
    assert (await found(blocks, unblocking)).state == "SUCCEEDED"
    assert [event for _, event, _ in told.events] == ["ADDRESS_UNBLOCKED"]


async def test_who_fails_after_another_process_succeeded_blocks_nothing(
    blocks: SqlBlocks,
    gates: MailGates,
    gate: FakeGate,
    told: Told,
    clock: FakeClock,
    unblocking: Unblocking,
) -> None:
    late = FinishUnblockings(blocks, gates, told, clock, timedelta(0))
    ended = False

    async def by_another(_method: str, _ip: str) -> None:
        nonlocal ended
        if not ended:
            ended = True
            await blocks.end(unblocking.id, clock(), None)

    gate.during = by_another
    gate.deaf.add("gw1")
    await late()
    gate.deaf.clear()
    assert (await found(blocks, unblocking)).state == "SUCCEEDED"
    await gates.settle(IP)
    assert gate.held == {"gw1": set(), "gw2": set()}
    assert told.events == []


async def test_one_that_cannot_end_keeps_no_other_from_it(
    finish: FinishUnblockings,
    blocks: SqlBlocks,
    gate: FakeGate,
    gateways: FakeGateways,
    clock: FakeClock,
    unblocking: Unblocking,
) -> None:
    await gateways.put(gateway("gw9", mail_gate=True, networks=("192.0.2.0/24",)))
    gate.failing.add("gw9")
    await block(blocks, clock, "192.0.2.1")
    stuck = await begin(blocks, clock, "192.0.2.1")
    await finish()
    assert (await found(blocks, stuck)).state == "RUNNING"
    assert (await found(blocks, unblocking)).state == "SUCCEEDED"
