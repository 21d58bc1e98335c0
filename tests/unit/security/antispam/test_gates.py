import asyncio
from contextlib import suppress

import pytest
from structlog.testing import capture_logs

from services.runtime import background
from services.security.antispam import gates as gates_module
from services.security.antispam.block import NotBlocked
from services.security.antispam.gates import (
    CompareGates,
    GateView,
    MailGates,
)
from services.security.store.blocks import SqlBlocks
from tests.unit.security.antispam.blocked import GW1, IP, OTHER, begin, block
from tests.unit.security.fakes import FakeClock, FakeGate, FakeGateways, gateway
from tests.unit.serving import PATIENCE_SECONDS


async def compare_all(gates: MailGates) -> None:
    for each in await gates.gates():
        await gates.compare(each)


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


async def test_a_gate_that_takes_too_long_is_not_known_to_do_it_and_hinders_no_other(
    gates: MailGates,
    blocks: SqlBlocks,
    gate: FakeGate,
    clock: FakeClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gate.pauses["gw1"] = asyncio.Event()
    monkeypatch.setattr(gates_module, "SETTLE_SECONDS", 0.5)
    await block(blocks, clock)
    assert await gates.settle(IP) == [
        GateView("gw1", blocks=None, trouble="It takes too long to answer."),
        GateView("gw2", blocks=True),
    ]


async def test_a_fault_of_ours_is_logged_and_the_gate_is_not_known_to_do_it(
    gates: MailGates, blocks: SqlBlocks, gate: FakeGate, clock: FakeClock
) -> None:
    gate.faulty.add("gw1")
    await block(blocks, clock)
    with capture_logs() as logs:
        views = await gates.settle(IP)
    assert views == [
        GateView("gw1", blocks=None, trouble="It cannot be asked, by a fault of ours."),
        GateView("gw2", blocks=True),
    ]
    assert [(each["log_level"], each["gateway"]) for each in logs] == [("error", "gw1")]


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
    await compare_all(gates)
    assert gate.held == {"gw1": {IP, OTHER}, "gw2": {IP, OTHER}}
    assert gate.changes() == [("block", "gw1", IP, OTHER)]  # all at once


async def test_a_gate_gets_no_block_of_an_address_that_it_does_not_protect(
    gates: MailGates,
    blocks: SqlBlocks,
    gate: FakeGate,
    gateways: FakeGateways,
    clock: FakeClock,
) -> None:
    await gateways.put(gateway("gw2", mail_gate=True, networks=("192.0.2.0/24",)))
    await block(blocks, clock)
    await compare_all(gates)
    assert (gate.held["gw1"], gate.held["gw2"]) == ({IP}, set())
    assert {each[1] for each in gate.calls} == {"gw1", "gw2"}


async def test_a_block_that_was_lifted_while_the_gate_was_away_is_lifted_there(
    gates: MailGates, blocks: SqlBlocks, gate: FakeGate, clock: FakeClock
) -> None:
    await block(blocks, clock)
    await blocks.override(IP, clock(), forget=False)
    await block(blocks, clock, OTHER)
    await blocks.override(OTHER, clock(), forget=False)
    gate.held["gw1"] = {IP, OTHER}
    with capture_logs() as logs:
        await compare_all(gates)
    assert gate.held["gw1"] == set()
    assert gate.changes() == [("lift", "gw1", IP, OTHER)]  # all at once
    assert logs == []  # they are no entries of the gate's own


async def test_a_block_that_is_lifted_while_a_gate_gets_it_back_ends_lifted(
    gates: MailGates, blocks: SqlBlocks, gate: FakeGate, clock: FakeClock
) -> None:
    await block(blocks, clock)
    await block(blocks, clock, OTHER)

    async def lifted(method: str, ip: str) -> None:
        if (method, ip) == ("block", IP):
            await blocks.override(IP, clock(), forget=False)

    gate.during = lifted
    await gates.compare(GW1)
    assert gate.held["gw1"] == {OTHER}


async def test_an_unblocking_that_begins_while_a_gate_gets_the_block_back_ends_lifted(
    gates: MailGates, blocks: SqlBlocks, gate: FakeGate, clock: FakeClock
) -> None:
    await block(blocks, clock)

    async def begun(method: str, _ip: str) -> None:
        if method == "block":
            await begin(blocks, clock)

    gate.during = begun
    await gates.compare(GW1)
    assert gate.held["gw1"] == set()


async def test_a_block_that_is_made_again_while_a_gate_lifts_it_ends_blocked(
    gates: MailGates, blocks: SqlBlocks, gate: FakeGate, clock: FakeClock
) -> None:
    for ip in (IP, OTHER):
        await block(blocks, clock, ip)
        await blocks.override(ip, clock(), forget=False)
    gate.held["gw1"] = {IP, OTHER}

    async def blocked(method: str, ip: str) -> None:
        if (method, ip) == ("lift", IP):
            await block(blocks, clock)

    gate.during = blocked
    await gates.compare(GW1)
    assert gate.held["gw1"] == {IP}


async def test_an_address_that_is_unblocked_now_is_left_to_who_does_it(
    gates: MailGates, blocks: SqlBlocks, gate: FakeGate, clock: FakeClock
) -> None:
    await block(blocks, clock)
    await begin(blocks, clock)
    gate.held["gw1"] = {IP}
    await compare_all(gates)
    assert gate.changes() == []


async def test_what_a_gate_blocks_of_its_own_is_left_alone_and_logged_once(
    gates: MailGates, gate: FakeGate
) -> None:
    gate.held["gw1"] = {"192.0.2.7", "192.0.2.8"}
    with capture_logs() as logs:
        await compare_all(gates)
        await compare_all(gates)
    assert gate.held["gw1"] == {"192.0.2.7", "192.0.2.8"}
    assert gate.changes() == []
    told = [(each["gateway"], each["count"], each["first"]) for each in logs]
    assert told == [("gw1", 2, "192.0.2.7")]


async def test_what_a_gate_blocks_of_its_own_is_logged_again_only_when_there_is_more(
    gates: MailGates, gate: FakeGate
) -> None:
    with capture_logs() as logs:
        for foreign in (
            {"192.0.2.6", "192.0.2.7"},
            {"192.0.2.7"},
            {"192.0.2.7", "192.0.2.8"},
            {"192.0.2.8"},
        ):
            gate.held["gw1"] = foreign
            await gates.compare(GW1)
    assert [each["count"] for each in logs] == [2, 2]


async def test_a_gate_that_does_not_say_what_it_blocks_is_logged_and_hinders_no_other(
    gates: MailGates, blocks: SqlBlocks, gate: FakeGate, clock: FakeClock
) -> None:
    await block(blocks, clock)
    gate.failing.add("gw1")
    with capture_logs() as logs:
        await compare_all(gates)
    assert [(each["gateway"], each["why"]) for each in logs] == [("gw1", "It does not answer.")]
    assert gate.held["gw2"] == {IP}


async def test_a_gate_that_does_not_do_it_is_told_once_a_comparison(
    gates: MailGates, blocks: SqlBlocks, gate: FakeGate, clock: FakeClock
) -> None:
    gate.deaf.add("gw1")
    ips = [f"203.0.113.{number}" for number in range(10)]
    for ip in ips:
        await block(blocks, clock, ip)
    for _ in range(2):
        await gates.compare(GW1)
    assert gate.changes() == [("block", "gw1", *ips)] * 2


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


async def test_a_gate_that_is_new_or_changed_is_compared_at_once(
    gates: MailGates, gateways: FakeGateways, gate: FakeGate
) -> None:
    compare = CompareGates(gates, 60.0, lambda: 1000.0)
    await compare()
    gate.calls.clear()
    await gateways.put(gateway("gw1", mail_gate=True, region="US"))
    await gateways.put(gateway("gw4", mail_gate=True))
    await compare()
    assert [each[:2] for each in gate.calls] == [("blocked", "gw1"), ("blocked", "gw4")]


async def test_a_slow_gate_keeps_no_other_waiting_and_is_compared_by_one_at_a_time(
    gates: MailGates, gate: FakeGate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(background, "ROUND_SECONDS", 0.0)
    now = 1000.0
    compare = CompareGates(gates, 60.0, lambda: now)
    gate.pauses["gw1"] = asyncio.Event()

    def asked(name: str) -> int:
        return gate.calls.count(("blocked", name))

    while asked("gw2") < 3:
        await compare()
        now += 60
    assert asked("gw1") == 1
    gate.pauses["gw1"].set()
    monkeypatch.setattr(background, "ROUND_SECONDS", PATIENCE_SECONDS)
    await compare()
    # It is due so long after it was done, not after it was begun.
    now += 59
    await compare()
    assert asked("gw1") == 1
    now += 1
    await compare()
    assert asked("gw1") == 2


async def test_a_comparison_with_a_fault_is_logged_and_made_again_when_it_is_time(
    gates: MailGates, blocks: SqlBlocks, gate: FakeGate, clock: FakeClock
) -> None:
    await block(blocks, clock)
    now = 1000.0
    compare = CompareGates(gates, 60.0, lambda: now)
    gate.faulty.add("gw1")
    with capture_logs() as logs:
        await compare()
        await compare()
    assert [each["log_level"] for each in logs] == ["error"]
    assert gate.held["gw2"] == {IP}
    gate.faulty.clear()
    now += 60
    await compare()
    assert gate.held["gw1"] == {IP}


async def test_closing_ends_the_comparisons_that_are_under_way(
    gates: MailGates, gate: FakeGate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(background, "ROUND_SECONDS", 0.0)
    compare = CompareGates(gates, 60.0)
    gate.pauses = {"gw1": asyncio.Event(), "gw2": asyncio.Event()}
    await compare()
    await gate.reached.wait()
    await compare.close()
    calls = len(gate.calls)
    for pause in gate.pauses.values():
        pause.set()
    await asyncio.sleep(0)
    assert len(gate.calls) == calls
    assert gate.changes() == []
