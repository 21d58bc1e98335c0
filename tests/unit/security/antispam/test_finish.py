import asyncio
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from services.runtime import background
from services.runtime.database import Database
from services.security.antispam.block import Unblocking
from services.security.antispam.finish import FinishUnblockings
from services.security.antispam.gates import (
    MailGates,
)
from services.security.antispam.states import State
from services.security.store.blocks import SqlBlocks
from tests.unit.security.antispam.blocked import IP, begin, block, state
from tests.unit.security.fakes import FakeClock, FakeGate, FakeGateways, Told, gateway

PATIENCE = timedelta(seconds=30)


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


async def test_an_unblocking_that_a_fault_of_ours_hinders_ends_by_its_patience(
    finish: FinishUnblockings,
    blocks: SqlBlocks,
    gate: FakeGate,
    clock: FakeClock,
    unblocking: Unblocking,
) -> None:
    gate.faulty.add("gw2")
    with capture_logs():
        await finish()
        assert (await found(blocks, unblocking)).state == "RUNNING"
        clock.now = unblocking.create_time + PATIENCE
        await finish()
    ended = await found(blocks, unblocking)
    assert ended.failure is not None
    assert (ended.state, ended.failure["gateway"]) == ("FAILED", "gw2")
    assert await state(blocks) is State.BLOCKED_FOR_SPAM
    assert gate.held["gw1"] == {IP}


async def test_a_slow_unblocking_keeps_no_other_waiting(
    finish: FinishUnblockings,
    blocks: SqlBlocks,
    gate: FakeGate,
    gateways: FakeGateways,
    clock: FakeClock,
    unblocking: Unblocking,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(background, "ROUND_SECONDS", 0.0)
    await gateways.put(gateway("gw9", mail_gate=True, networks=("192.0.2.0/24",)))
    gate.pauses["gw9"] = asyncio.Event()
    await block(blocks, clock, "192.0.2.1")
    slow = await begin(blocks, clock, "192.0.2.1")
    await finish()
    await gate.reached.wait()
    while not (await found(blocks, unblocking)).done:
        await finish()
    assert (await found(blocks, unblocking)).state == "SUCCEEDED"
    assert (await found(blocks, slow)).state == "RUNNING"
    assert len([each for each in gate.calls if each[1] == "gw9"]) == 1  # one at a time
    gate.pauses["gw9"].set()
    while not (await found(blocks, slow)).done:
        await finish()
    assert (await found(blocks, slow)).state == "SUCCEEDED"


async def test_closing_ends_what_is_under_way_and_another_process_goes_on(
    finish: FinishUnblockings,
    blocks: SqlBlocks,
    gates: MailGates,
    gate: FakeGate,
    told: Told,
    clock: FakeClock,
    unblocking: Unblocking,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gate.pauses["gw1"] = asyncio.Event()
    with monkeypatch.context() as hurried:
        hurried.setattr(background, "ROUND_SECONDS", 0.0)
        await finish()
    await gate.reached.wait()
    await finish.close()
    gate.pauses.clear()
    assert (await found(blocks, unblocking)).state == "RUNNING"
    await FinishUnblockings(blocks, gates, told, clock, PATIENCE)()
    assert (await found(blocks, unblocking)).state == "SUCCEEDED"


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
