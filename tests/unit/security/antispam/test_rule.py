from datetime import timedelta
from uuid import uuid4

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from f2h.access.v1.reason_pb2 import Reason
from f2h.auth.v1.audit_pb2 import AuditRecord
from structlog.testing import capture_logs

from services.runtime.access import Audience
from services.runtime.audit import Outcome
from services.runtime.errors import ApiError
from services.runtime.principal import OwnName, PrincipalSigner, PrincipalVerifier
from services.security.antispam.block import Unblocking
from services.security.antispam.gates import MailGates
from services.security.antispam.listing import SpamhausList
from services.security.antispam.manage import ManageBlocks
from services.security.antispam.rule import METHOD, AuditedRule
from services.security.antispam.states import State
from services.security.store.blocks import SqlBlocks
from tests.unit.security.fakes import (
    FakeBlocklist,
    FakeClock,
    FakeGate,
    FakeInventory,
    FakeRecorder,
    Told,
)

IP = "203.0.113.9"
XBL = SpamhausList.XBL
KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))


@pytest.fixture
def recorder() -> FakeRecorder:
    return FakeRecorder()


@pytest.fixture
def blocklist(clock: FakeClock) -> FakeBlocklist:
    made = FakeBlocklist(clock)
    made.lists = {IP: (XBL,), "203.0.113.200": (XBL,)}
    return made


@pytest.fixture
def manage(
    inventory: FakeInventory, blocks: SqlBlocks, gates: MailGates, told: Told, clock: FakeClock
) -> ManageBlocks:
    return ManageBlocks(
        inventory, blocks, gates, told, clock=clock, wait=lambda _: timedelta(hours=1)
    )


@pytest.fixture
def rule(
    inventory: FakeInventory,
    blocks: SqlBlocks,
    manage: ManageBlocks,
    blocklist: FakeBlocklist,
    recorder: FakeRecorder,
    clock: FakeClock,
) -> AuditedRule:
    return AuditedRule(
        inventory,
        blocks,
        manage,
        blocklist=blocklist,
        recorder=recorder,
        own_name=OwnName("security", PrincipalSigner(0, KEY, "security"), clock),
        block_lists=frozenset({XBL, SpamhausList.SBL}),
    )


async def test_an_address_is_blocked_in_the_services_own_name_and_that_is_recorded(
    rule: AuditedRule,
    blocks: SqlBlocks,
    gate: FakeGate,
    recorder: FakeRecorder,
    clock: FakeClock,
) -> None:
    await rule(IP)
    block = (await blocks.of([IP]))[IP]
    assert (block.state, block.blocked_by) == (State.BLOCKED_FOR_SPAM, "security")
    assert block.reason == "Spamhaus lists it on XBL."
    assert gate.held["gw1"] == {IP}
    [(caller, attempt)] = recorder.attempts
    assert (attempt.method, attempt.resource, attempt.account) == (METHOD, IP, "demo")
    assert recorder.outcomes == [(1, Outcome(AuditRecord.ACCEPTED))]
    verifier = PrincipalVerifier({}, clock, {"security": KEY.public_key()})
    principal = verifier.verify(caller.header)
    assert (principal.audience, principal.subject) == (Audience.SERVICE, "security")
    assert principal == caller.principal


async def test_the_lists_that_it_is_blocked_for_are_named_and_no_others(
    rule: AuditedRule, blocks: SqlBlocks, blocklist: FakeBlocklist
) -> None:
    blocklist.lists[IP] = (XBL, SpamhausList.PBL, SpamhausList.SBL)
    await rule(IP)
    assert (await blocks.of([IP]))[IP].reason == "Spamhaus lists it on SBL, XBL."


@pytest.mark.parametrize("lists", [(), (SpamhausList.PBL,)])
async def test_what_is_on_none_of_the_lists_when_it_is_asked_anew_is_not_blocked(
    rule: AuditedRule,
    blocks: SqlBlocks,
    blocklist: FakeBlocklist,
    recorder: FakeRecorder,
    lists: tuple[SpamhausList, ...],
) -> None:
    blocklist.lists[IP] = lists
    await rule(IP)
    assert blocklist.asked == [(IP, True)]
    assert (await blocks.of([IP]), recorder.attempts) == ({}, [])


async def test_while_it_is_not_known_whether_it_is_listed_it_is_not_blocked(
    rule: AuditedRule, blocks: SqlBlocks, blocklist: FakeBlocklist, recorder: FakeRecorder
) -> None:
    blocklist.unknown = "The resolver does not answer."
    await rule(IP)
    assert (await blocks.of([IP]), recorder.attempts) == ({}, [])


async def test_what_cannot_be_recorded_is_not_done(
    rule: AuditedRule, blocks: SqlBlocks, gate: FakeGate, recorder: FakeRecorder, told: Told
) -> None:
    recorder.failure = OSError("auth does not answer")
    await rule(IP)
    assert (await blocks.of([IP]), gate.calls, told.events) == ({}, [], [])


async def test_an_outcome_that_cannot_be_recorded_ends_nothing(
    rule: AuditedRule, blocks: SqlBlocks, recorder: FakeRecorder
) -> None:
    recorder.outcome_failure = OSError("auth does not answer")
    await rule(IP)
    assert [*await blocks.in_force()] == [IP]


async def test_what_is_blocked_already_is_neither_blocked_nor_recorded(
    rule: AuditedRule,
    blocks: SqlBlocks,
    blocklist: FakeBlocklist,
    recorder: FakeRecorder,
    clock: FakeClock,
    told: Told,
) -> None:
    before = await blocks.block(IP, "Reported.", "noc-1", clock(), lambda _: timedelta(0))
    await rule(IP)
    assert (await blocks.of([IP]))[IP] == before
    assert (blocklist.asked, recorder.attempts, told.events) == ([], [], [])


async def test_what_is_unblocked_now_is_left_to_that(
    rule: AuditedRule, blocks: SqlBlocks, recorder: FakeRecorder, clock: FakeClock
) -> None:
    await blocks.block(IP, "Reported.", "noc-1", clock(), lambda _: timedelta(0))
    await blocks.begin(Unblocking(uuid4(), IP, "ns1", "demo", "RUNNING", clock(), clock()))
    await rule(IP)
    assert (await blocks.of([IP]))[IP].state is State.UNBLOCKING
    assert recorder.attempts == []


async def test_what_was_unblocked_is_blocked_again(
    rule: AuditedRule, blocks: SqlBlocks, clock: FakeClock
) -> None:
    await blocks.block(IP, "Reported.", "noc-1", clock(), lambda _: timedelta(0))
    await blocks.override(IP, clock(), forget=False)
    await rule(IP)
    block = (await blocks.of([IP]))[IP]
    assert (block.state, block.blocked_by, block.times) == (State.BLOCKED_FOR_SPAM, "security", 2)


async def test_an_address_that_no_server_has_is_not_blocked(
    rule: AuditedRule, blocks: SqlBlocks, recorder: FakeRecorder
) -> None:
    await rule("203.0.113.200")
    assert (await blocks.in_force(), recorder.attempts) == ({}, [])


async def test_a_refused_block_is_recorded_with_its_reason(
    rule: AuditedRule,
    inventory: FakeInventory,
    recorder: FakeRecorder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    there = await inventory.with_ip(IP)
    answers = iter([there, None])

    async def moved_away(_ip: str) -> object:
        return next(answers)

    monkeypatch.setattr(inventory, "with_ip", moved_away)
    await rule(IP)
    [(attempt, outcome)] = recorder.outcomes
    assert (attempt, outcome.outcome, outcome.reason) == (1, AuditRecord.FAILED, "NOT_FOUND")


async def test_a_block_that_fails_by_a_fault_of_ours_is_recorded_as_failed(
    rule: AuditedRule,
    manage: ManageBlocks,
    recorder: FakeRecorder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def fails(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(manage, "block", fails)
    with capture_logs() as logs:
        await rule(IP)
    assert recorder.outcomes == [(1, Outcome(AuditRecord.FAILED, "INTERNAL"))]
    assert [(each["log_level"], each["ip"]) for each in logs] == [("error", IP)]


async def test_while_nobody_knows_whose_the_address_is_it_is_not_blocked(
    rule: AuditedRule, inventory: FakeInventory, blocks: SqlBlocks, recorder: FakeRecorder
) -> None:
    inventory.failure = ApiError(Reason.DEPENDENCY_UNAVAILABLE, "It does not answer.")
    with pytest.raises(ApiError):
        await rule(IP)
    assert (await blocks.in_force(), recorder.attempts) == ({}, [])
