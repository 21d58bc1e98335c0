import asyncio
from datetime import timedelta
from uuid import uuid4

import pytest
from f2h.access.v1.reason_pb2 import Reason

from services.runtime.errors import ApiError
from services.security.antispam.block import Unblocking
from services.security.antispam.gates import GateView, MailGates
from services.security.antispam.manage import ManageBlocks
from services.security.antispam.states import State
from services.security.antispam.waiting import doubling
from services.security.inventory.located import Located
from services.security.store.blocks import SqlBlocks
from tests.unit.security.fakes import NS1, FakeClock, FakeGate, FakeInventory, Told, gateway

IP = "203.0.113.9"
HOUR = timedelta(hours=1)


@pytest.fixture
def manage(
    inventory: FakeInventory, blocks: SqlBlocks, gates: MailGates, told: Told, clock: FakeClock
) -> ManageBlocks:
    wait = doubling(HOUR, timedelta(days=7))
    return ManageBlocks(inventory, blocks, gates, told, clock=clock, wait=wait)


async def begin(blocks: SqlBlocks, clock: FakeClock) -> Unblocking:
    unblocking = Unblocking(uuid4(), IP, "ns1.example.net", "demo", "RUNNING", clock(), clock())
    await blocks.begin(unblocking)
    return unblocking


async def test_a_block_stands_on_the_gates_and_its_account_is_told(
    manage: ManageBlocks, gate: FakeGate, told: Told, clock: FakeClock
) -> None:
    managed = await manage.block(IP, "It sends spam.", "noc-1")
    block = managed.block
    assert managed.server == NS1
    assert (block.state, block.reason, block.blocked_by) == (
        State.BLOCKED_FOR_SPAM,
        "It sends spam.",
        "noc-1",
    )
    assert (block.block_time, block.unblock_time, block.times) == (clock(), clock() + HOUR, 1)
    assert managed.gates == [GateView("gw1", blocks=True), GateView("gw2", blocks=True)]
    assert gate.held["gw1"] == {IP}
    data = {"server": "ns1.example.net", "ip": IP, "reason": "It sends spam."}
    assert told.events == [("demo", "ADDRESS_BLOCKED", data)]


async def test_blocking_again_changes_the_reason_alone_and_tells_nobody(
    manage: ManageBlocks, told: Told, clock: FakeClock
) -> None:
    first = (await manage.block(IP, "It sends spam.", "noc-1")).block
    clock.pass_(60)
    again = (await manage.block(IP, "It sends much spam.", "noc-2")).block
    assert again.reason == "It sends much spam."
    assert (again.blocked_by, again.block_time, again.unblock_time, again.times) == (
        "noc-1",
        first.block_time,
        first.unblock_time,
        1,
    )
    assert len(told.events) == 1


async def test_each_block_waits_twice_as_long_as_the_one_before(
    manage: ManageBlocks, told: Told
) -> None:
    waits = []
    for _ in range(3):
        block = (await manage.block(IP, "It sends spam.", "noc")).block
        waits.append((block.unblock_time - block.block_time) / HOUR)
        await manage.override(IP, forget=False)
    assert waits == [1, 2, 4]
    assert [event for _, event, _ in told.events] == ["ADDRESS_BLOCKED", "ADDRESS_UNBLOCKED"] * 3


async def test_what_is_forgotten_waits_as_the_first_time(manage: ManageBlocks) -> None:
    await manage.block(IP, "It sends spam.", "noc")
    assert (await manage.override(IP, forget=True)).block.times == 0
    block = (await manage.block(IP, "It sends spam.", "noc")).block
    assert (block.times, block.unblock_time - block.block_time) == (1, HOUR)


async def test_an_address_that_no_server_has_is_not_found(
    manage: ManageBlocks, blocks: SqlBlocks, gate: FakeGate, told: Told
) -> None:
    with pytest.raises(ApiError) as refused:
        await manage.block("203.0.113.200", "It sends spam.", "noc")
    assert refused.value.reason == Reason.NOT_FOUND
    assert refused.value.metadata == {"ip": "203.0.113.200"}
    assert (await blocks.in_force(), gate.calls, told.events) == ({}, [], [])


async def test_a_block_is_kept_though_a_gate_does_not_do_it_now(
    manage: ManageBlocks, blocks: SqlBlocks, gate: FakeGate, gates: MailGates
) -> None:
    gate.failing.add("gw1")
    [one, two] = (await manage.block(IP, "It sends spam.", "noc")).gates
    assert (one.blocks, one.trouble) == (None, "It does not answer.")
    assert two.blocks is True
    gate.failing.clear()
    await gates.compare(gateway("gw1", mail_gate=True))
    assert gate.held["gw1"] == {IP}


async def test_an_address_that_is_unblocked_now_is_busy_and_says_by_what(
    manage: ManageBlocks, blocks: SqlBlocks, clock: FakeClock, told: Told
) -> None:
    await manage.block(IP, "It sends spam.", "noc")
    clock.pass_(HOUR.total_seconds())
    unblocking = await begin(blocks, clock)
    for attempt in (manage.block(IP, "Again.", "noc"), manage.override(IP, forget=False)):
        with pytest.raises(ApiError) as refused:
            await attempt
        assert refused.value.reason == Reason.IP_BUSY
        assert refused.value.metadata == {"ip": IP, "operation": unblocking.name}
        assert refused.value.retry_after_seconds == 5
    assert (await blocks.of([IP]))[IP].reason == "It sends spam."
    assert len(told.events) == 1


async def test_a_lifted_block_is_gone_from_the_gates_whatever_its_wait(
    manage: ManageBlocks, gate: FakeGate, told: Told, clock: FakeClock
) -> None:
    await manage.block(IP, "It sends spam.", "noc")
    clock.pass_(1)
    managed = await manage.override(IP, forget=False)
    block = managed.block
    assert managed.server == NS1
    assert (block.state, block.lift_time, block.times) == (State.UNBLOCKED, clock(), 1)
    assert {each.blocks for each in managed.gates} == {False}
    assert gate.held == {"gw1": set(), "gw2": set()}
    data = {"server": "ns1.example.net", "ip": IP}
    assert told.events[1:] == [("demo", "ADDRESS_UNBLOCKED", data)]


async def test_what_was_lifted_already_is_forgotten_and_nobody_is_told(
    manage: ManageBlocks, told: Told, clock: FakeClock
) -> None:
    await manage.block(IP, "It sends spam.", "noc")
    clock.pass_(1)
    lifted = (await manage.override(IP, forget=False)).block
    told.events.clear()
    clock.pass_(1)
    managed = await manage.override(IP, forget=True)
    assert (managed.block.times, managed.block.lift_time) == (0, lifted.lift_time)
    assert told.events == []


async def test_the_account_is_told_before_the_gates_which_may_take_long(
    manage: ManageBlocks, gate: FakeGate, told: Told, clock: FakeClock
) -> None:
    gate.pauses = {"gw1": asyncio.Event(), "gw2": asyncio.Event()}
    blocking = asyncio.create_task(manage.block(IP, "It sends spam.", "noc"))
    await gate.reached.wait()
    assert [event for _, event, _ in told.events] == ["ADDRESS_BLOCKED"]
    for pause in gate.pauses.values():
        pause.set()
    await blocking
    gate.pauses = {"gw1": asyncio.Event(), "gw2": asyncio.Event()}
    gate.reached.clear()
    clock.pass_(1)
    lifting = asyncio.create_task(manage.override(IP, forget=False))
    await gate.reached.wait()
    assert [event for _, event, _ in told.events] == ["ADDRESS_BLOCKED", "ADDRESS_UNBLOCKED"]
    for pause in gate.pauses.values():
        pause.set()
    await lifting


async def test_who_has_the_address_now_is_told_that_it_was_lifted(
    manage: ManageBlocks,
    inventory: FakeInventory,
    blocks: SqlBlocks,
    told: Told,
    clock: FakeClock,
) -> None:
    await blocks.block(IP, "It sends spam.", "noc", clock(), lambda _: HOUR)
    inventory.servers = [Located("ns2.example.net", "other", (IP,))]
    await manage.override(IP, forget=False)
    inventory.servers = []
    await blocks.block(IP, "It sends spam.", "noc", clock(), lambda _: HOUR)
    await manage.override(IP, forget=False)
    assert [account for account, _, _ in told.events] == ["other"]


@pytest.mark.parametrize("blocked_before", [False, True])
async def test_what_is_not_blocked_cannot_be_lifted(
    manage: ManageBlocks, *, blocked_before: bool
) -> None:
    if blocked_before:
        await manage.block(IP, "It sends spam.", "noc")
        await manage.override(IP, forget=False)
    with pytest.raises(ApiError) as refused:
        await manage.override(IP, forget=False)
    assert (refused.value.reason, refused.value.metadata) == (Reason.IP_NOT_BLOCKED, {"ip": IP})


async def test_nothing_is_blocked_while_nobody_knows_whose_the_address_is(
    manage: ManageBlocks, inventory: FakeInventory, blocks: SqlBlocks
) -> None:
    inventory.failure = ApiError(Reason.DEPENDENCY_UNAVAILABLE, "It does not answer.")
    with pytest.raises(ApiError) as refused:
        await manage.block(IP, "It sends spam.", "noc")
    assert refused.value.reason == Reason.DEPENDENCY_UNAVAILABLE
    assert await blocks.in_force() == {}


async def test_a_lift_that_was_made_is_answered_though_nobody_knows_whose_the_address_is(
    manage: ManageBlocks, inventory: FakeInventory, gate: FakeGate, told: Told
) -> None:
    await manage.block(IP, "It sends spam.", "noc")
    inventory.failure = ApiError(Reason.DEPENDENCY_UNAVAILABLE, "It does not answer.")
    managed = await manage.override(IP, forget=False)
    assert (managed.block.state, managed.server) == (State.UNBLOCKED, None)
    assert gate.held["gw1"] == set()
    assert len(told.events) == 1
