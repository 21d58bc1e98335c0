from datetime import timedelta
from typing import Any

import pytest
from f2h.access.v1.reason_pb2 import Reason
from structlog.testing import capture_logs

from services.runtime.database import Database
from services.runtime.errors import ApiError
from services.security.antispam.listing import SpamhausList
from services.security.antispam.sweep import REFRESH, REFRESH_AGAIN, Sweep
from services.security.inventory.located import Located
from services.security.store.look_ups import SqlLookUps
from tests.unit.security.fakes import NS1, NS2, FakeBlocklist, FakeClock, FakeInventory, Told

HOUR = timedelta(hours=1)
V4, V6 = NS1.ips
XBL, SBL, PBL = SpamhausList.XBL, SpamhausList.SBL, SpamhausList.PBL


class Rule:
    """Implements BlockByRule: remembers what was to be blocked."""

    def __init__(self) -> None:
        self.blocked: list[str] = []
        self.fail_for: dict[str, Exception] = {}

    async def __call__(self, ip: str) -> None:
        if ip in self.fail_for:
            raise self.fail_for[ip]
        self.blocked.append(ip)


@pytest.fixture
def blocklist(clock: FakeClock) -> FakeBlocklist:
    return FakeBlocklist(clock)


@pytest.fixture
def rule() -> Rule:
    return Rule()


class Sweeping:
    """A sweep that a test moves through time."""

    def __init__(self, clock: FakeClock, **parts: Any) -> None:
        self._clock = clock
        self._parts = {
            "per_second": 100.0,
            "block_lists": frozenset(),
            "interval": HOUR,
            **parts,
        }
        self.start()

    def start(self, **changes: Any) -> None:
        """Begins as a new process does."""
        self._parts |= changes
        parts = self._parts
        self._sweep = Sweep(
            parts["inventory"],
            parts["look_ups"],
            parts["blocklist"],
            parts["publish"],
            parts["block"],
            clock=self._clock,
            interval=parts["interval"],
            per_second=parts["per_second"],
            block_lists=parts["block_lists"],
        )

    async def __call__(self, seconds: float = 0.5) -> None:
        self._clock.pass_(seconds)
        await self._sweep()

    async def round(self) -> None:
        """As long as each address is looked up once, and no longer."""
        for _ in range(4):
            await self(HOUR.total_seconds() / 4)


@pytest.fixture
def sweep(
    clock: FakeClock,
    inventory: FakeInventory,
    database: Database,
    blocklist: FakeBlocklist,
    told: Told,
    rule: Rule,
) -> Sweeping:
    return Sweeping(
        clock,
        inventory=inventory,
        look_ups=SqlLookUps(database),
        blocklist=blocklist,
        publish=told,
        block=rule,
    )


def asked(blocklist: FakeBlocklist) -> list[str]:
    found = [ip for ip, _ in blocklist.asked]
    blocklist.asked.clear()
    return found


def many(count: int) -> Located:
    ips = tuple(f"198.51.{number // 250}.{number % 250}" for number in range(count))
    return Located("ns3.example.net", "demo", ips)


async def test_every_address_is_looked_up_once_an_interval(
    sweep: Sweeping, blocklist: FakeBlocklist
) -> None:
    await sweep()
    for _ in range(3):
        asked(blocklist)
        await sweep.round()
        assert sorted(asked(blocklist)) == sorted([*NS1.ips, *NS2.ips])


async def test_look_ups_are_spread_over_the_interval(
    sweep: Sweeping, blocklist: FakeBlocklist, inventory: FakeInventory
) -> None:
    inventory.servers = [many(2000)]
    await sweep()
    counts = []
    for _ in range(12):
        for _ in range(30):
            await sweep(10)
        counts.append(len(asked(blocklist)))
    assert sum(counts) >= 1990
    assert max(counts) < 2 * 2000 / 12


async def test_no_more_is_asked_than_the_rate_allows_also_after_a_pause(
    sweep: Sweeping, blocklist: FakeBlocklist, inventory: FakeInventory
) -> None:
    inventory.servers = [many(1000)]
    sweep.start(per_second=10.0)
    await sweep()
    asked(blocklist)
    await sweep(24 * 3600)  # all are due
    assert len(asked(blocklist)) == 10
    total = 0
    for _ in range(40):
        await sweep(0.5)
        total += len(asked(blocklist))
    assert total == 40 * 0.5 * 10


async def test_a_rate_below_one_a_second_is_kept_as_well(
    sweep: Sweeping, blocklist: FakeBlocklist, inventory: FakeInventory
) -> None:
    inventory.servers = [many(100)]
    sweep.start(per_second=0.25)
    await sweep()
    await sweep(24 * 3600)
    asked(blocklist)
    for _ in range(80):
        await sweep(0.5)
    assert len(asked(blocklist)) == 10


async def test_a_clock_that_goes_back_asks_no_more_than_the_rate(
    sweep: Sweeping, blocklist: FakeBlocklist, inventory: FakeInventory
) -> None:
    inventory.servers = [many(100)]
    sweep.start(per_second=2.0)
    await sweep()
    await sweep(24 * 3600)
    asked(blocklist)
    await sweep(-3600)
    assert asked(blocklist) == []
    await sweep(0.5)
    assert len(asked(blocklist)) <= 1


async def test_new_addresses_are_swept_and_gone_ones_are_not_after_a_refresh(
    sweep: Sweeping, blocklist: FakeBlocklist, inventory: FakeInventory
) -> None:
    await sweep()
    inventory.servers = [NS2, many(1)]
    await sweep(REFRESH.total_seconds())
    asked(blocklist)
    await sweep.round()
    assert set(asked(blocklist)) == {*NS2.ips, *many(1).ips}


async def test_the_inventory_is_asked_no_more_often_than_it_is_to_be(
    sweep: Sweeping, inventory: FakeInventory
) -> None:
    await sweep()
    inventory.fail_for[""] = AssertionError("asked for all addresses again")
    await sweep(REFRESH.total_seconds() - 1)
    with pytest.raises(AssertionError):
        await sweep(1)


async def test_while_the_inventory_does_not_answer_the_sweep_goes_on_with_what_it_knows(
    sweep: Sweeping, blocklist: FakeBlocklist, inventory: FakeInventory
) -> None:
    await sweep()
    asked(blocklist)
    inventory.failure = ApiError(Reason.DEPENDENCY_UNAVAILABLE, "It does not answer.")
    with capture_logs() as logs:
        await sweep(HOUR.total_seconds())
    assert sorted(asked(blocklist)) == sorted([*NS1.ips, *NS2.ips])
    assert [(each["log_level"], each["reason"]) for each in logs] == [
        ("warning", "DEPENDENCY_UNAVAILABLE")
    ]
    assert "exc_info" not in logs[0]


async def test_an_inventory_that_did_not_answer_is_asked_again_soon_and_not_at_once(
    sweep: Sweeping, blocklist: FakeBlocklist, inventory: FakeInventory
) -> None:
    inventory.failure = ApiError(Reason.DEPENDENCY_UNAVAILABLE, "It does not answer.")
    with capture_logs() as logs:
        await sweep()
        await sweep(REFRESH_AGAIN.total_seconds() - 1)
        assert len(logs) == 1
        await sweep(1)
        assert len(logs) == 2
    inventory.failure = None
    await sweep(REFRESH_AGAIN.total_seconds())
    await sweep.round()
    assert sorted(asked(blocklist)) == sorted([*NS1.ips, *NS2.ips])


async def test_a_rule_that_fails_for_one_address_keeps_no_other_from_being_told(
    sweep: Sweeping, blocklist: FakeBlocklist, told: Told, rule: Rule
) -> None:
    sweep.start(block_lists=frozenset({XBL}))
    await sweep()
    blocklist.lists = dict.fromkeys([*NS1.ips, *NS2.ips], (XBL,))
    rule.fail_for[V4] = ZeroDivisionError("a fault of ours")
    with capture_logs():
        await sweep(HOUR.total_seconds())
    assert {data["ip"] for _, _, data in told.events} == {*NS1.ips, *NS2.ips}
    assert {*rule.blocked} == {V6, *NS2.ips}


async def test_a_change_is_told_once(sweep: Sweeping, blocklist: FakeBlocklist, told: Told) -> None:
    await sweep()
    blocklist.lists[V4] = (XBL,)
    for _ in range(3):
        await sweep.round()
    data = {"server": "ns1.example.net", "ip": V4, "lists": "XBL"}
    assert told.events == [("demo", "ADDRESS_BLOCKLISTED", data)]
    told.events.clear()
    del blocklist.lists[V4]
    for _ in range(3):
        await sweep.round()
    assert told.events == [("demo", "ADDRESS_DELISTED", {**data, "lists": ""})]


async def test_a_new_process_tells_nothing_again(
    sweep: Sweeping, blocklist: FakeBlocklist, told: Told
) -> None:
    await sweep()
    blocklist.lists[V4] = (XBL,)
    await sweep.round()
    sweep.start()
    await sweep()
    await sweep.round()
    assert len(told.events) == 1


async def test_one_list_for_another_is_told_as_both(
    sweep: Sweeping, blocklist: FakeBlocklist, told: Told
) -> None:
    await sweep()
    blocklist.lists[V4] = (PBL, XBL)
    await sweep.round()
    blocklist.lists[V4] = (SBL, PBL)
    await sweep.round()
    assert [(event, data["lists"]) for _, event, data in told.events] == [
        ("ADDRESS_BLOCKLISTED", "PBL, XBL"),
        ("ADDRESS_BLOCKLISTED", "PBL, SBL"),
        ("ADDRESS_DELISTED", "PBL, SBL"),
    ]


async def test_not_to_know_changes_nothing(
    sweep: Sweeping, blocklist: FakeBlocklist, told: Told, rule: Rule
) -> None:
    sweep.start(block_lists=frozenset({XBL}))
    await sweep()
    blocklist.lists[V4] = (XBL,)
    await sweep.round()
    told.events.clear()
    rule.blocked.clear()
    blocklist.unknown = "The resolver does not answer."
    await sweep.round()
    blocklist.unknown = ""
    assert (told.events, rule.blocked) == ([], [])
    await sweep.round()
    assert told.events == []  # it is on the list as before


async def test_who_has_the_address_now_is_told(
    sweep: Sweeping, blocklist: FakeBlocklist, told: Told, inventory: FakeInventory
) -> None:
    class Moving(FakeBlocklist):
        """Within a look-up the address moves."""

        async def look_up(self, ip: str, *, fresh: bool = False) -> Any:
            if ip == V4:
                inventory.servers = [Located("ns2.example.net", "other", (V4, *NS2.ips))]
            return await super().look_up(ip, fresh=fresh)

    moving = Moving()
    moving.lists[V4] = (XBL,)
    sweep.start(blocklist=moving)
    await sweep()
    await sweep.round()
    data = {"server": "ns2.example.net", "ip": V4, "lists": "XBL"}
    assert told.events == [("other", "ADDRESS_BLOCKLISTED", data)]


async def test_of_an_address_that_nobody_has_any_more_nobody_is_told(
    sweep: Sweeping, blocklist: FakeBlocklist, told: Told, inventory: FakeInventory
) -> None:
    await sweep()
    blocklist.lists[V4] = (XBL,)
    inventory.servers = [NS2]
    sweep.start(interval=timedelta(days=1))
    await sweep.round()
    assert told.events == []


async def test_who_is_found_on_a_named_list_is_blocked(
    sweep: Sweeping, blocklist: FakeBlocklist, rule: Rule
) -> None:
    sweep.start(block_lists=frozenset({XBL, SBL}))
    await sweep()
    blocklist.lists = {V4: (XBL, PBL, SBL), V6: (PBL,)}
    await sweep.round()
    assert rule.blocked == [V4]


async def test_who_stays_on_the_list_is_to_be_blocked_again_when_it_was_unblocked(
    sweep: Sweeping, blocklist: FakeBlocklist, rule: Rule
) -> None:
    sweep.start(block_lists=frozenset({XBL}))
    await sweep()
    blocklist.lists = {V4: (XBL,)}
    await sweep.round()
    await sweep.round()
    assert rule.blocked == [V4, V4]


async def test_without_named_lists_nobody_is_blocked(
    sweep: Sweeping, blocklist: FakeBlocklist, rule: Rule
) -> None:
    await sweep()
    blocklist.lists = {V4: (SBL, XBL)}
    await sweep.round()
    assert rule.blocked == []


FAILURES = [
    ApiError(Reason.DEPENDENCY_UNAVAILABLE, "It does not answer."),
    ZeroDivisionError("a fault of ours"),
]


@pytest.mark.parametrize("failure", FAILURES, ids=["refused", "fault"])
async def test_what_fails_for_one_address_keeps_no_other_from_being_told_and_blocked(
    sweep: Sweeping,
    blocklist: FakeBlocklist,
    inventory: FakeInventory,
    told: Told,
    rule: Rule,
    clock: FakeClock,
    failure: Exception,
) -> None:
    sweep.start(block_lists=frozenset({XBL}))
    await sweep()
    await sweep.round()
    told.events.clear()
    blocklist.lists = dict.fromkeys([*NS1.ips, *NS2.ips], (XBL,))
    inventory.fail_for[V4] = failure
    with capture_logs() as logs:
        await sweep(2 * HOUR.total_seconds())  # all of them in one go
    assert [each["ip"] for each in logs if each["log_level"] == "error"] == [V4]
    assert {data["ip"] for _, _, data in told.events} == {V6, *NS2.ips}
    assert {*rule.blocked} == {V6, *NS2.ips}
