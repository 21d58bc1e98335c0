import asyncio
from dataclasses import asdict, replace
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from f2h.access.v1.reason_pb2 import Reason
from sqlalchemy import insert

from services.runtime.database import Database
from services.runtime.errors import ApiError
from services.security.antispam.block import (
    Block,
    NotBlocked,
    RequestKnown,
    TooEarly,
    Unblocking,
    UnderWay,
)
from services.security.antispam.states import State
from services.security.antispam.unblock import RequestUnblock
from services.security.store.blocks import SqlBlocks
from services.security.store.tables import UnblockingRow
from tests.unit.security.fakes import NOW, caller

IP = "203.0.113.9"
CALLER = "0" * 16
HOUR = timedelta(hours=1)
FAILURE = {"reason": "MAIL_GATE_FAILED", "message": "It does not answer.", "gateway": "gw1"}


@pytest.fixture
def blocks(database: Database) -> SqlBlocks:
    return SqlBlocks(database)


async def block(blocks: SqlBlocks, ip: str = IP, reason: str = "Spam.", by: str = "noc") -> Block:
    return await blocks.block(ip, reason, by, NOW, lambda before: HOUR * (before + 1))


def unblocking(
    ip: str = IP,
    minutes: float = 1,
    account: str = "demo",
    request_id: str = "",
    asked_by: str = CALLER,
) -> Unblocking:
    """One that is asked for so long after the wait of a first block."""
    time = NOW + HOUR + timedelta(minutes=minutes)
    return Unblocking(
        uuid4(),
        ip,
        "ns1.example.net",
        account,
        "RUNNING",
        time,
        time,
        request_id,
        asked_by,
        "CUSTOMER",
    )


async def begun(blocks: SqlBlocks, ip: str = IP, minutes: float = 1) -> Unblocking:
    made = unblocking(ip, minutes)
    await blocks.begin(made)
    return made


async def only(blocks: SqlBlocks, ip: str = IP) -> Block:
    return (await blocks.of([ip]))[ip]


async def test_a_block_is_found_as_it_was_made(blocks: SqlBlocks) -> None:
    made = await block(blocks)
    assert made == Block(IP, State.BLOCKED_FOR_SPAM, "Spam.", "noc", NOW, NOW + HOUR, 1)
    assert await blocks.of([IP, "203.0.113.90"]) == {IP: made}
    assert await blocks.of([]) == {}


async def test_blocking_again_changes_the_reason_alone(blocks: SqlBlocks) -> None:
    await block(blocks)
    later = NOW + HOUR
    again = await blocks.block(IP, "More spam.", "other", later, lambda _: HOUR)
    assert again == Block(IP, State.BLOCKED_FOR_SPAM, "More spam.", "noc", NOW, NOW + HOUR, 1)
    assert await only(blocks) == again


async def test_the_wait_is_asked_for_how_often_it_was_blocked_before(blocks: SqlBlocks) -> None:
    asked: list[int] = []

    def wait(before: int) -> timedelta:
        asked.append(before)
        return HOUR

    for _ in range(3):
        await blocks.block(IP, "Spam.", "noc", NOW, wait)
        await blocks.block(IP, "Spam.", "noc", NOW, wait)
        await blocks.override(IP, NOW, forget=False)
    assert asked == [0, 1, 2]


async def test_who_blocks_the_same_address_at_once_blocks_it_once(blocks: SqlBlocks) -> None:
    made = await asyncio.gather(*(block(blocks, by=f"noc-{number}") for number in range(10)))
    assert {each.times for each in made} == {1}
    assert len({each.blocked_by for each in made}) == 1


async def test_a_lifted_block_is_remembered(blocks: SqlBlocks) -> None:
    await block(blocks)
    lifted = await blocks.override(IP, NOW + HOUR, forget=False)
    assert (lifted.state, lifted.lift_time, lifted.times) == (State.UNBLOCKED, NOW + HOUR, 1)
    assert await only(blocks) == lifted
    again = await block(blocks)
    assert (again.times, again.unblock_time, again.lift_time) == (2, NOW + 2 * HOUR, NOW + HOUR)


async def test_a_forgotten_block_begins_anew(blocks: SqlBlocks) -> None:
    await block(blocks)
    assert (await blocks.override(IP, NOW, forget=True)).times == 0
    again = await block(blocks)
    assert (again.times, again.unblock_time) == (1, NOW + HOUR)


async def test_what_is_not_blocked_is_neither_lifted_nor_unblocked(blocks: SqlBlocks) -> None:
    for _ in range(2):  # never blocked, and then not any more
        with pytest.raises(NotBlocked):
            await blocks.override(IP, NOW, forget=False)
        with pytest.raises(NotBlocked):
            await begun(blocks)
        await block(blocks)
        await blocks.override(IP, NOW, forget=False)
    assert await blocks.under_way() == []


async def test_pages_have_each_block_once_in_the_order_of_addresses(blocks: SqlBlocks) -> None:
    ips = sorted(["203.0.113.9", "203.0.113.10", "2001:db8::9", "203.0.113.11", "203.0.113.90"])
    for ip in ips:
        await block(blocks, ip)
    await blocks.override("203.0.113.11", NOW, forget=False)
    for lifted in (True, False):
        found: list[str] = []
        while page := await blocks.page(found[-1] if found else "", 2, lifted=lifted):
            found += [each.ip for each in page]
            assert len(found) <= len(ips)
        assert found == [ip for ip in ips if lifted or ip != "203.0.113.11"]


async def test_in_force_is_what_is_blocked_or_being_unblocked(blocks: SqlBlocks) -> None:
    for ip in (IP, "203.0.113.10", "203.0.113.11"):
        await block(blocks, ip)
    await begun(blocks, "203.0.113.10")
    await blocks.override("203.0.113.11", NOW, forget=False)
    assert await blocks.in_force() == {
        IP: State.BLOCKED_FOR_SPAM,
        "203.0.113.10": State.UNBLOCKING,
    }


async def test_an_unblocking_is_found_as_it_was_begun(blocks: SqlBlocks) -> None:
    await block(blocks)
    made = await begun(blocks)
    assert await blocks.find(made.id) == made
    assert await blocks.find(UUID(int=0)) is None
    assert await blocks.under_way() == [made]
    there = await only(blocks)
    assert (there.state, there.operation) == (State.UNBLOCKING, made.id)


async def test_while_an_address_is_unblocked_nothing_else_happens_to_it(blocks: SqlBlocks) -> None:
    await block(blocks)
    made = await begun(blocks)
    with pytest.raises(UnderWay) as begins:
        await begun(blocks)
    with pytest.raises(UnderWay) as blocks_it:
        await block(blocks, reason="Other.")
    with pytest.raises(UnderWay) as lifts:
        await blocks.override(IP, NOW, forget=True)
    assert {each.value.operation for each in (begins, blocks_it, lifts)} == {made.name}
    there = await only(blocks)
    assert (there.state, there.reason, there.times) == (State.UNBLOCKING, "Spam.", 1)
    assert await blocks.under_way() == [made]


async def test_of_many_who_begin_at_once_one_does(blocks: SqlBlocks) -> None:
    await block(blocks)
    outcomes = await asyncio.gather(*(begun(blocks) for _ in range(20)), return_exceptions=True)
    [made] = [each for each in outcomes if isinstance(each, Unblocking)]
    assert {str(each) for each in outcomes if each is not made} == {made.name}
    assert await blocks.under_way() == [made]


async def test_before_its_time_no_unblocking_begins(blocks: SqlBlocks) -> None:
    made = await block(blocks)
    with pytest.raises(TooEarly) as early:
        await begun(blocks, minutes=-0.001)
    assert early.value.block.unblock_time == NOW + HOUR
    assert await only(blocks) == made
    assert await blocks.under_way() == []
    await begun(blocks, minutes=0)


async def test_a_request_is_found_by_its_caller_and_id(blocks: SqlBlocks) -> None:
    await block(blocks)
    made = unblocking(request_id="a")
    await blocks.begin(made)
    assert await blocks.requested("demo", CALLER, "a") == made
    for account, asked_by, name in (
        ("demo", CALLER, "b"),
        ("demo", "1" * 16, "a"),
        ("other", CALLER, "a"),
    ):
        assert await blocks.requested(account, asked_by, name) is None


async def test_what_a_process_of_the_version_before_keeps_is_found(
    blocks: SqlBlocks, database: Database
) -> None:
    made = unblocking()
    columns = {**asdict(made), "failure": None, "request_id": None}
    del columns["caller_kind"]
    async with database.write() as session:
        await session.execute(insert(UnblockingRow).values(**columns))
    assert await blocks.find(made.id) == replace(made, caller_kind="AUDIENCE_UNSPECIFIED")


async def test_a_caller_has_an_id_once_and_what_was_to_be_begun_is_not(
    blocks: SqlBlocks,
) -> None:
    for ip in (IP, "203.0.113.10", "203.0.113.11", "203.0.113.12"):
        await block(blocks, ip)
    first = unblocking(request_id="a")
    await blocks.begin(first)
    with pytest.raises(RequestKnown):
        await blocks.begin(unblocking("203.0.113.10", request_id="a"))
    assert (await only(blocks, "203.0.113.10")).state is State.BLOCKED_FOR_SPAM
    others = unblocking("203.0.113.11", account="other", request_id="a")
    persons = unblocking("203.0.113.12", asked_by="1" * 16, request_id="a")
    for each in (others, persons):
        await blocks.begin(each)
    assert await blocks.under_way() == [first, others, persons]


async def test_any_number_of_requests_has_no_id(blocks: SqlBlocks) -> None:
    for number in range(3):
        await block(blocks, f"203.0.113.{number}")
        await begun(blocks, f"203.0.113.{number}")
    assert len(await blocks.under_way()) == 3


async def test_of_many_requests_with_one_id_at_once_there_is_one_operation(
    blocks: SqlBlocks,
) -> None:
    await block(blocks)
    request = RequestUnblock(blocks, None, lambda: NOW + HOUR, uuid4)
    made = await asyncio.gather(*(request("ns1", caller(), IP, "a") for _ in range(20)))
    assert len({each.id for each in made}) == 1
    assert await blocks.under_way() == [made[0]]


async def test_of_an_id_for_two_addresses_at_once_one_is_refused(blocks: SqlBlocks) -> None:
    ips = [f"203.0.113.{number}" for number in range(10)]
    for ip in ips:
        await block(blocks, ip)
    request = RequestUnblock(blocks, None, lambda: NOW + HOUR, uuid4)
    outcomes = await asyncio.gather(
        *(request("ns1", caller(), ip, "a") for ip in ips), return_exceptions=True
    )
    [made] = [each for each in outcomes if isinstance(each, Unblocking)]
    refused = [each for each in outcomes if isinstance(each, ApiError)]
    assert [each.reason for each in refused] == [Reason.REQUEST_ID_REUSED] * 9
    assert await blocks.in_force() == {
        ip: State.UNBLOCKING if ip == made.ip else State.BLOCKED_FOR_SPAM for ip in ips
    }


async def test_an_unblocking_that_succeeded_leaves_the_address_unblocked(
    blocks: SqlBlocks,
) -> None:
    await block(blocks)
    made = await begun(blocks)
    ended = await blocks.end(made.id, NOW + HOUR, None)
    assert ended is not None
    assert (ended.state, ended.end_time, ended.update_time) == (
        "SUCCEEDED",
        NOW + HOUR,
        NOW + HOUR,
    )
    assert await blocks.find(made.id) == ended
    there = await only(blocks)
    assert (there.state, there.operation, there.lift_time) == (State.UNBLOCKED, None, NOW + HOUR)
    assert await blocks.under_way() == []


async def test_an_unblocking_that_failed_leaves_the_address_blocked(blocks: SqlBlocks) -> None:
    made_block = await block(blocks)
    made = await begun(blocks)
    ended = await blocks.end(made.id, NOW + HOUR, FAILURE)
    assert ended is not None
    assert (ended.state, ended.failure, ended.done) == ("FAILED", FAILURE, True)
    assert await only(blocks) == made_block
    await begun(blocks)  # it may be asked for again


async def test_an_unblocking_ends_once(blocks: SqlBlocks) -> None:
    await block(blocks)
    made = await begun(blocks)
    first = await blocks.end(made.id, NOW, None)
    assert await blocks.end(made.id, NOW + HOUR, FAILURE) is None
    assert await blocks.find(made.id) == first
    assert await blocks.end(uuid4(), NOW, None) is None


async def test_of_many_who_end_it_at_once_one_does(blocks: SqlBlocks) -> None:
    await block(blocks)
    made = await begun(blocks)
    outcomes = await asyncio.gather(
        *(blocks.end(made.id, NOW, failure) for failure in [None, FAILURE] * 5)
    )
    [ended] = [each for each in outcomes if each is not None]
    assert await blocks.find(made.id) == ended
    succeeded = ended.failure is None
    expected = State.UNBLOCKED if succeeded else State.BLOCKED_FOR_SPAM
    assert (await only(blocks)).state is expected


async def test_unblockings_under_way_are_told_the_eldest_first(blocks: SqlBlocks) -> None:
    made = []
    for number, minutes in enumerate([3, 1, 2]):
        ip = f"203.0.113.{number}"
        await block(blocks, ip)
        made.append(await begun(blocks, ip, minutes))
    assert await blocks.under_way() == [made[1], made[2], made[0]]


async def test_only_what_ended_long_ago_is_forgotten(blocks: SqlBlocks) -> None:
    made = []
    for number in range(3):
        ip = f"203.0.113.{number}"
        await block(blocks, ip)
        made.append(await begun(blocks, ip))
    old, young, running = made
    await blocks.end(old.id, NOW, None)
    await blocks.end(young.id, NOW + HOUR, None)
    await blocks.tidy(NOW + HOUR)
    assert await blocks.find(old.id) is None
    assert await blocks.find(young.id) is not None
    assert await blocks.under_way() == [running]
    assert len(await blocks.of(["203.0.113.0"])) == 1  # the block itself is remembered
