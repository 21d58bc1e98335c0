"""Measuring servers: bounded, and a silent one holds up nobody."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from services.server_ops.bmc.errors import BmcUnreachable, Trouble
from services.server_ops.bmc.observation import PowerState
from services.server_ops.bmc.sensor import Health, Sensor
from services.server_ops.ipmi.status import BmcStatus
from services.server_ops.monitoring.collect import Collect
from services.server_ops.monitoring.store import Claimed, Round

NOW = datetime(2026, 1, 1, tzinfo=UTC)
FAN = Sensor("FAN1", "Fan", 5400.0, "RPM", Health.OK)
TEMPERATURE = Sensor("CPU", "Temperature", None, "°C", Health.UNKNOWN)


class World:
    """Servers, what is known of their BMCs, and where rounds are kept."""

    def __init__(self) -> None:
        self.due: list[str] = []
        self.kept: list[Round] = []
        self.locked = False
        """The database takes nothing."""
        self.faulty: set[str] = set()
        self.silent: set[str] = set()
        self.unreachable: set[str] = set()
        self.status = BmcStatus("", power=PowerState.ON, contact_time=NOW)
        self.reachable: bool | None = True
        self.asking = 0
        self.most_asking = 0
        self.end = asyncio.Event()

    async def claim_due(self, _now: datetime, limit: int) -> Claimed:
        claimed, self.due = self.due[:limit], self.due[limit:]
        return Claimed(claimed, 0)

    async def append(self, rounds: list[Round]) -> None:
        if self.locked:
            raise OperationalError("UPDATE", {}, Exception("database is locked"))
        self.kept += rounds

    async def find(self, hostname: str) -> Any:
        if hostname == "gone":
            return None
        return replace(self.status, hostname=hostname)

    async def sensors(self, hostname: str) -> tuple[Sensor, ...]:
        self.asking += 1
        self.most_asking = max(self.asking, self.most_asking)
        try:
            if hostname in self.silent:
                await self.end.wait()
            if hostname in self.faulty:
                raise ZeroDivisionError
            if hostname in self.unreachable:
                raise BmcUnreachable(Trouble.NO_ANSWER)
            await asyncio.sleep(0)
            return (FAN, TEMPERATURE)
        finally:
            self.asking -= 1

    async def icmp(self, _address: str) -> bool | None:
        return self.reachable

    tcp = icmp

    async def traffic(self, _hostname: str) -> dict[str, float]:
        return {"traffic/in": 8.0}

    async def rounds(self, collect: Collect) -> dict[str, Round]:
        """What was kept after everything that can end has ended."""
        for _ in range(50):
            await asyncio.sleep(0)
        await collect()
        return {each.hostname: each for each in self.kept}


class Servers:
    """Finds every server but the one that is gone."""

    async def find(self, hostname: str) -> Any:
        class View:
            class server:  # noqa: N801 - an attribute
                ips = ("192.0.2.1",)

        return None if hostname == "gone" else View


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def collect(world: World) -> Collect:
    return Collect(
        Servers(),  # type: ignore[arg-type]  # what is asked of them is here
        world,  # type: ignore[arg-type]
        world,  # type: ignore[arg-type]
        sensors=world.sensors,
        reach=world,
        traffic=world.traffic,  # type: ignore[arg-type]
        clock=lambda: NOW,
        at_once=4,
    )


async def test_what_was_measured_is_kept_with_what_it_is(world: World, collect: Collect) -> None:
    world.due = ["ns1"]
    await collect()
    [measured] = (await world.rounds(collect)).values()
    assert measured.sample.values == {
        "power": 1.0,
        "reachability/icmp": 1.0,
        "reachability/tcp": 1.0,
        "fan/FAN1": 5400.0,
        "traffic/in": 8.0,
    }
    assert measured.sample.time == NOW
    assert (collect.measured, collect.missed) == (1, 0)


async def test_what_is_not_known_is_not_there(world: World, collect: Collect) -> None:
    world.due, world.unreachable, world.reachable = ["ns1"], {"ns1"}, None
    world.status = replace(world.status, contact_time=NOW - timedelta(minutes=5))
    await collect()
    [measured] = (await world.rounds(collect)).values()
    assert measured.sample.values == {"traffic/in": 8.0}
    assert measured.sensors is None


async def test_what_cannot_be_reached_is_zero_which_is_a_measurement(
    world: World, collect: Collect
) -> None:
    world.due, world.reachable = ["ns1"], False
    world.status = replace(world.status, power=PowerState.OFF)
    await collect()
    [measured] = (await world.rounds(collect)).values()
    assert measured.sample.values["reachability/icmp"] == 0.0
    assert measured.sample.values["power"] == 0.0


async def test_so_many_are_measured_at_once_and_a_silent_one_holds_up_nobody(
    world: World, collect: Collect
) -> None:
    world.due = ["silent", *(f"ns{number}" for number in range(20))]
    world.silent = {"silent"}
    for _ in range(10):
        await collect()
        await world.rounds(collect)
    assert set(await world.rounds(collect)) == {f"ns{number}" for number in range(20)}
    assert world.most_asking == 4
    await collect.close()


async def test_a_server_that_is_gone_is_no_fault(world: World, collect: Collect) -> None:
    world.due = ["gone", "ns1"]
    await collect()
    assert set(await world.rounds(collect)) == {"ns1"}


async def test_a_round_that_fails_is_a_missed_one(world: World, collect: Collect) -> None:
    world.due, world.faulty = ["faulty", "ns1"], {"faulty"}
    await collect()
    assert set(await world.rounds(collect)) == {"ns1"}
    assert (collect.measured, collect.missed) == (1, 1)


async def test_what_the_database_does_not_take_is_missed_and_what_comes_after_is_not(
    world: World, collect: Collect
) -> None:
    world.due, world.locked = ["ns1"], True
    await collect()
    with pytest.raises(OperationalError):
        await world.rounds(collect)
    assert (collect.measured, collect.missed) == (0, 1)
    world.due, world.locked = ["ns2"], False
    await collect()
    assert set(await world.rounds(collect)) == {"ns2"}
    assert (collect.measured, collect.missed) == (1, 1)
