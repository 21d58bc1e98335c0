import asyncio
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from f2h.access.v1.reason_pb2 import Reason

from services.runtime.errors import ApiError
from services.security.antispam.block import Block, Unblocking
from services.security.antispam.listing import LookUp, SpamhausList
from services.security.antispam.states import State
from services.security.antispam.unblock import HINDERING, RequestUnblock
from services.security.store.blocks import SqlBlocks
from tests.unit.security.fakes import FakeBlocklist, FakeClock, caller

IP = "203.0.113.9"
WAIT = timedelta(hours=1)


@pytest.fixture
def blocklist(clock: FakeClock) -> FakeBlocklist:
    return FakeBlocklist(clock)


@pytest.fixture
def request_unblock(
    blocks: SqlBlocks, blocklist: FakeBlocklist, clock: FakeClock
) -> RequestUnblock:
    return RequestUnblock(blocks, blocklist, clock, uuid4)


@pytest.fixture
async def blocked(blocks: SqlBlocks, clock: FakeClock) -> Block:
    return await blocks.block(IP, "It sends spam.", "noc", clock(), lambda _: WAIT)


@pytest.fixture
async def free(blocked: Block, clock: FakeClock) -> Block:
    """A block whose wait is over."""
    clock.now = blocked.unblock_time
    return blocked


async def ask(request: RequestUnblock, ip: str = IP, request_id: str = "") -> Unblocking:
    return await request("ns1.example.net", caller(), ip, request_id)


async def refusal(request: RequestUnblock, ip: str = IP, request_id: str = "") -> ApiError:
    with pytest.raises(ApiError) as refused:
        await ask(request, ip, request_id)
    return refused.value


async def state(blocks: SqlBlocks) -> State:
    return (await blocks.of([IP]))[IP].state


async def test_an_accepted_unblocking_runs(
    request_unblock: RequestUnblock, blocks: SqlBlocks, clock: FakeClock, free: Block
) -> None:
    accepted = await ask(request_unblock)
    assert accepted == Unblocking(
        accepted.id,
        IP,
        "ns1.example.net",
        "demo",
        "RUNNING",
        clock(),
        clock(),
        caller="0" * 16,
        caller_kind="SESSION",
    )
    assert await blocks.find(accepted.id) == accepted
    block = (await blocks.of([IP]))[IP]
    assert (block.state, block.operation) == (State.UNBLOCKING, accepted.id)


async def test_what_was_never_blocked_cannot_be_unblocked(request_unblock: RequestUnblock) -> None:
    error = await refusal(request_unblock)
    assert (error.reason, error.metadata) == (Reason.IP_NOT_BLOCKED, {"ip": IP})


async def test_what_is_not_blocked_any_more_cannot_be_unblocked(
    request_unblock: RequestUnblock, blocks: SqlBlocks, clock: FakeClock, free: Block
) -> None:
    await blocks.override(IP, clock(), forget=False)
    assert (await refusal(request_unblock)).reason == Reason.IP_NOT_BLOCKED


async def test_before_its_time_it_is_said_when_to_ask(
    request_unblock: RequestUnblock,
    blocks: SqlBlocks,
    clock: FakeClock,
    blocklist: FakeBlocklist,
    blocked: Block,
) -> None:
    clock.pass_(600)
    error = await refusal(request_unblock)
    assert error.reason == Reason.UNBLOCK_TOO_EARLY
    assert error.retry_after_seconds == 3000
    assert error.metadata == {"ip": IP, "unblock_time": blocked.unblock_time.isoformat()}
    assert "It sends spam." in error.message
    assert await state(blocks) is State.BLOCKED_FOR_SPAM
    assert blocklist.asked == []


async def test_its_time_is_the_very_moment_that_was_named(
    request_unblock: RequestUnblock, clock: FakeClock, blocked: Block
) -> None:
    clock.now = blocked.unblock_time - timedelta(microseconds=1)
    assert (await refusal(request_unblock)).reason == Reason.UNBLOCK_TOO_EARLY
    clock.now = blocked.unblock_time
    assert (await ask(request_unblock)).state == "RUNNING"


@pytest.mark.parametrize("name", sorted(HINDERING))
async def test_who_is_listed_ends_that_first(
    request_unblock: RequestUnblock,
    blocks: SqlBlocks,
    blocklist: FakeBlocklist,
    free: Block,
    name: SpamhausList,
) -> None:
    blocklist.lists[IP] = (SpamhausList.PBL, name)
    error = await refusal(request_unblock)
    assert error.reason == Reason.IP_LISTED
    link = f"https://check.example.org/{name.lower()}"
    assert error.metadata == {"ip": IP, "lists": name, "link": link}
    assert error.retry_after_seconds is None
    assert link in error.message
    assert await state(blocks) is State.BLOCKED_FOR_SPAM


async def test_all_hindering_lists_are_named(
    request_unblock: RequestUnblock, blocklist: FakeBlocklist, free: Block
) -> None:
    blocklist.lists[IP] = (SpamhausList.SBL, SpamhausList.XBL)
    assert (await refusal(request_unblock)).metadata["lists"] == "SBL, XBL"


@pytest.mark.parametrize("name", [SpamhausList.PBL, SpamhausList.BCL])
async def test_other_lists_do_not_hinder(
    request_unblock: RequestUnblock, blocklist: FakeBlocklist, free: Block, name: SpamhausList
) -> None:
    blocklist.lists[IP] = (name,)
    assert (await ask(request_unblock)).state == "RUNNING"


@pytest.mark.parametrize("name", [SpamhausList.PBL, SpamhausList.XBL])
async def test_a_list_that_it_would_be_blocked_for_again_hinders_too(
    blocks: SqlBlocks,
    blocklist: FakeBlocklist,
    clock: FakeClock,
    free: Block,
    name: SpamhausList,
) -> None:
    lists = frozenset({SpamhausList.PBL})
    blocklist.lists[IP] = (name,)
    error = await refusal(RequestUnblock(blocks, blocklist, clock, uuid4, block_lists=lists))
    assert (error.reason, error.metadata["lists"]) == (Reason.IP_LISTED, name)


async def test_the_blocklist_is_asked_anew(
    request_unblock: RequestUnblock, blocklist: FakeBlocklist, free: Block
) -> None:
    await ask(request_unblock)
    assert blocklist.asked == [(IP, True)]


async def test_not_to_know_whether_it_is_listed_is_no_yes(
    request_unblock: RequestUnblock, blocks: SqlBlocks, blocklist: FakeBlocklist, free: Block
) -> None:
    blocklist.unknown = "The resolver does not answer."
    error = await refusal(request_unblock)
    assert error.reason == Reason.DEPENDENCY_UNAVAILABLE
    assert error.retry_after_seconds == 5
    assert "The resolver does not answer." in error.message
    assert await state(blocks) is State.BLOCKED_FOR_SPAM


async def test_without_a_blocklist_listings_do_not_count(
    blocks: SqlBlocks, clock: FakeClock, free: Block
) -> None:
    accepted = await ask(RequestUnblock(blocks, None, clock, uuid4))
    assert accepted.state == "RUNNING"


async def test_of_many_who_ask_at_once_one_is_accepted_and_the_others_are_told_which(
    request_unblock: RequestUnblock, free: Block
) -> None:
    outcomes = await asyncio.gather(
        *(ask(request_unblock) for _ in range(20)), return_exceptions=True
    )
    [accepted] = [each for each in outcomes if isinstance(each, Unblocking)]
    refused = [each for each in outcomes if isinstance(each, ApiError)]
    assert len(refused) == 19
    for each in refused:
        assert each.reason == Reason.IP_BUSY
        assert each.metadata == {"ip": IP, "operation": f"antispam/operations/{accepted.id}"}
        assert each.retry_after_seconds == 5


async def test_while_it_is_unblocked_it_is_busy_whatever_else_hinders(
    request_unblock: RequestUnblock, blocklist: FakeBlocklist, free: Block
) -> None:
    accepted = await ask(request_unblock)
    blocklist.unknown = "The resolver does not answer."
    error = await refusal(request_unblock)
    assert (error.reason, error.metadata["operation"]) == (Reason.IP_BUSY, accepted.name)


async def test_what_the_noc_lifts_while_the_blocklist_is_asked_is_not_unblocked_again(
    blocks: SqlBlocks, clock: FakeClock, free: Block
) -> None:
    class Meanwhile(FakeBlocklist):
        async def look_up(self, ip: str, *, fresh: bool = False) -> LookUp:
            await blocks.override(ip, clock(), forget=False)
            return await super().look_up(ip, fresh=fresh)

    error = await refusal(RequestUnblock(blocks, Meanwhile(clock), clock, uuid4))
    assert error.reason == Reason.IP_NOT_BLOCKED
    assert await blocks.under_way() == []


async def test_a_block_that_is_renewed_while_the_blocklist_is_asked_waits_anew(
    blocks: SqlBlocks, clock: FakeClock, free: Block
) -> None:
    class Meanwhile(FakeBlocklist):
        async def look_up(self, ip: str, *, fresh: bool = False) -> LookUp:
            await blocks.override(ip, clock(), forget=False)
            await blocks.block(ip, "It sends spam again.", "noc", clock(), lambda _: 2 * WAIT)
            return await super().look_up(ip, fresh=fresh)

    error = await refusal(RequestUnblock(blocks, Meanwhile(clock), clock, uuid4))
    assert (error.reason, error.retry_after_seconds) == (Reason.UNBLOCK_TOO_EARLY, 7200)
    assert "It sends spam again." in error.message
    assert await state(blocks) is State.BLOCKED_FOR_SPAM
    assert await blocks.under_way() == []


# --- Requests with an id


async def test_the_same_id_again_is_the_same_operation_also_when_it_has_ended(
    request_unblock: RequestUnblock, blocks: SqlBlocks, clock: FakeClock, free: Block
) -> None:
    made = await ask(request_unblock, request_id="a")
    assert made.request_id == "a"
    assert await ask(request_unblock, request_id="a") == made
    ended = await blocks.end(made.id, clock(), None)
    assert await ask(request_unblock, request_id="a") == ended
    assert await state(blocks) is State.UNBLOCKED


async def test_an_id_that_was_refused_may_be_used_again(
    request_unblock: RequestUnblock, clock: FakeClock, blocked: Block
) -> None:
    assert (await refusal(request_unblock, request_id="a")).reason == Reason.UNBLOCK_TOO_EARLY
    clock.now = blocked.unblock_time
    assert (await ask(request_unblock, request_id="a")).state == "RUNNING"


async def test_an_id_that_was_used_for_another_address_or_server_is_refused(
    request_unblock: RequestUnblock, free: Block
) -> None:
    made = await ask(request_unblock, request_id="a")
    other = await refusal(request_unblock, "203.0.113.90", request_id="a")
    assert (other.reason, other.metadata) == (Reason.REQUEST_ID_REUSED, {"operation": made.name})
    with pytest.raises(ApiError) as refused:
        await request_unblock("ns2.example.net", caller(), IP, "a")
    assert refused.value.reason == Reason.REQUEST_ID_REUSED


@pytest.mark.parametrize(("account", "subject"), [("other", "0" * 16), ("demo", "1" * 16)])
async def test_another_account_or_caller_with_the_same_id_has_another_operation(
    request_unblock: RequestUnblock,
    blocks: SqlBlocks,
    clock: FakeClock,
    free: Block,
    account: str,
    subject: str,
) -> None:
    made = await ask(request_unblock, request_id="a")
    await blocks.end(made.id, clock(), {"reason": "MAIL_GATE_FAILED", "message": "", "gateway": ""})
    other = await request_unblock("ns1.example.net", caller(subject, account), IP, "a")
    assert (other.account, other.caller, other.id == made.id) == (account, subject, False)


async def test_without_an_id_each_request_is_its_own(
    request_unblock: RequestUnblock, blocks: SqlBlocks, clock: FakeClock, free: Block
) -> None:
    made = await ask(request_unblock)
    await blocks.end(made.id, clock(), {"reason": "MAIL_GATE_FAILED", "message": "", "gateway": ""})
    assert (await ask(request_unblock)).id != made.id


@pytest.mark.parametrize("ended", [False, True])
async def test_who_asks_with_the_same_id_while_the_blocklist_is_asked_has_the_same_operation(
    blocks: SqlBlocks, clock: FakeClock, free: Block, *, ended: bool
) -> None:
    class Meanwhile(FakeBlocklist):
        """While the one is looked up the other begins, and perhaps ends."""

        async def look_up(self, ip: str, *, fresh: bool = False) -> LookUp:
            made.append(await ask(RequestUnblock(blocks, None, clock, uuid4), request_id="a"))
            if ended:
                await blocks.end(made[0].id, clock(), None)
            return await super().look_up(ip, fresh=fresh)

    made: list[Unblocking] = []
    later = await ask(RequestUnblock(blocks, Meanwhile(clock), clock, uuid4), request_id="a")
    assert later.id == made[0].id
    assert later.done is ended


async def test_ids_come_from_where_they_are_made(
    blocks: SqlBlocks, clock: FakeClock, free: Block
) -> None:
    accepted = await ask(RequestUnblock(blocks, None, clock, lambda: UUID(int=7)))
    assert accepted.name == f"antispam/operations/{UUID(int=7)}"
