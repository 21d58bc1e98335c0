"""Answers from what is known, and afresh where that is asked for."""

import asyncio
import gc
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from f2h.access.v1.reason_pb2 import Reason

from services.runtime.errors import ApiError
from services.server_ops.bmc.endpoint import BmcEndpoint
from services.server_ops.bmc.errors import BmcError
from services.server_ops.bmc.observation import PowerState
from services.server_ops.bmc.sensor import Health, Sensor
from services.server_ops.ipmi.check import CheckBmc
from services.server_ops.ipmi.read import ReadIpmi
from services.server_ops.ipmi.status import BmcStatus, Change
from tests.unit.server_ops.bmc.fake_bmc import FakeBmc, FakeMachine, Trouble

NOW = datetime(2026, 1, 2, tzinfo=UTC)
ENDPOINT = BmcEndpoint("192.0.2.1", 623, b"admin", b"x")
HOST, ACCOUNT = "ns1.example.net", "acme"
FRESH, HOUR = timedelta(0), timedelta(hours=1)


class Clock:
    now = NOW

    def __call__(self) -> datetime:
        return self.now


class Kept:
    """Implements BmcStatuses for one server."""

    def __init__(self) -> None:
        self.status = BmcStatus(HOST)

    async def find(self, _hostname: str) -> BmcStatus:
        return self.status

    async def update(self, _hostname: str, change: Change) -> BmcStatus | None:
        self.status = change(self.status)
        return self.status

    async def claim_due(self, now: datetime, interval: timedelta, limit: int) -> list[str]:
        raise NotImplementedError


class Counting(FakeBmc):
    """Counts how often the BMC is read."""

    def __init__(self, *machines: FakeMachine) -> None:
        super().__init__(*machines)
        self.reads = 0
        self.asked = asyncio.Event()
        self.answers = asyncio.Event()
        self.answers.set()

    async def power(self, endpoint: BmcEndpoint) -> PowerState:
        self.reads += 1
        await asyncio.sleep(0)
        return await super().power(endpoint)

    async def sensors(self, endpoint: BmcEndpoint) -> tuple[Sensor, ...]:
        self.reads += 1
        await asyncio.sleep(0)
        self.asked.set()
        await self.answers.wait()
        return await super().sensors(endpoint)


class Inventory:
    """One server, of one account."""

    async def find(self, hostname: str) -> Any:
        server = type("Server", (), {"account": ACCOUNT})
        return type("View", (), {"server": server}) if hostname == HOST else None

    async def bmc(self, hostname: str) -> BmcEndpoint | None:
        return ENDPOINT if hostname == HOST else None


class Reading:
    """A reader and all it needs."""

    def __init__(self) -> None:
        self.machine = FakeMachine(ENDPOINT)
        self.machine.sensors = (Sensor("FAN 1", "Fan", 5400.0, "RPM", Health.OK),)
        self.bmc, self.kept, self.clock = Counting(self.machine), Kept(), Clock()
        self.told: list[tuple[str, str]] = []
        servers: Any = Inventory()

        async def publish(account: str, event: str, _data: Mapping[str, str]) -> None:
            self.told.append((account, event))

        check = CheckBmc(
            servers, self.kept, self.bmc, clock=self.clock, publish=publish, failing_after=2
        )
        self.read = ReadIpmi(servers, self.kept, self.bmc, check, self.clock)


@pytest.fixture
def reading() -> Reading:
    return Reading()


async def test_what_was_never_asked_is_asked_and_then_known(reading: Reading) -> None:
    assert (await reading.read.status(HOST, ACCOUNT, None)).power is PowerState.ON
    reading.machine.power = PowerState.OFF
    assert (await reading.read.status(HOST, ACCOUNT, None)).power is PowerState.ON
    assert reading.bmc.reads == 1


async def test_an_answer_is_never_older_than_was_asked_for(reading: Reading) -> None:
    await reading.read.status(HOST, ACCOUNT, None)
    reading.clock.now += timedelta(seconds=10)
    await reading.read.status(HOST, ACCOUNT, timedelta(seconds=10))
    assert reading.bmc.reads == 1
    status = await reading.read.status(HOST, ACCOUNT, timedelta(seconds=9))
    assert (reading.bmc.reads, status.check_time) == (2, reading.clock.now)


async def test_many_who_ask_at_once_are_one_question(reading: Reading) -> None:
    statuses = await asyncio.gather(*(reading.read.status(HOST, ACCOUNT, FRESH) for _ in range(50)))
    assert {status.power for status in statuses} == {PowerState.ON}
    readings = await asyncio.gather(*(reading.read.sensors(HOST, ACCOUNT, None) for _ in range(50)))
    assert {each.sensors[0].value for each in readings} == {5400.0}
    assert reading.bmc.reads == 2


async def test_of_a_silent_bmc_the_last_is_told_and_its_sensors_are_refused(
    reading: Reading,
) -> None:
    await reading.read.status(HOST, ACCOUNT, FRESH)
    reading.machine.trouble = Trouble.SILENT
    reading.clock.now += timedelta(seconds=60)
    status = await reading.read.status(HOST, ACCOUNT, FRESH)
    assert (status.reachability, status.power) == ("UNREACHABLE", PowerState.ON)
    with pytest.raises(ApiError) as refused:
        await reading.read.sensors(HOST, ACCOUNT, None)
    assert refused.value.reason == Reason.BMC_UNREACHABLE
    assert refused.value.retry_after_seconds


async def test_the_account_hears_of_what_happened_to_its_server(reading: Reading) -> None:
    await reading.read.status(HOST, ACCOUNT, FRESH)
    reading.machine.power = PowerState.OFF
    await reading.read.status(HOST, ACCOUNT, timedelta(seconds=-1))
    reading.machine.trouble = Trouble.SILENT
    for _ in range(3):
        await reading.read.status(HOST, ACCOUNT, timedelta(seconds=-1))
    reading.machine.trouble = Trouble.NONE
    await reading.read.status(HOST, ACCOUNT, timedelta(seconds=-1))
    assert reading.told == [
        (ACCOUNT, "server.power_changed"),
        (ACCOUNT, "server.unreachable"),
        (ACCOUNT, "server.reachable"),
    ]


@pytest.mark.parametrize(("hostname", "account"), [(HOST, "other"), ("ns2.example.net", ACCOUNT)])
async def test_another_accounts_server_and_none_look_the_same(
    reading: Reading, hostname: str, account: str
) -> None:
    for call in (
        reading.read.status(hostname, account, None),
        reading.read.sensors(hostname, account, None),
        reading.read.events(hostname, account, None, 10),
        reading.read.test(hostname, account),
    ):
        with pytest.raises(ApiError) as refused:
            await call
        assert refused.value.reason == Reason.SERVER_NOT_GRANTED
    assert reading.bmc.reads == 0


async def test_a_login_that_is_refused_is_said(reading: Reading) -> None:
    reading.machine.endpoint = replace(ENDPOINT, password=b"another")
    status = await reading.read.status(HOST, ACCOUNT, FRESH)
    assert status.reachability == "AUTH_FAILED"
    with pytest.raises(ApiError) as refused:
        await reading.read.sensors(HOST, ACCOUNT, None)
    assert refused.value.reason == Reason.BMC_AUTH_FAILED


async def test_a_reading_that_fails_when_nobody_waits_any_more_is_nobodys_error(
    reading: Reading,
) -> None:
    unheard: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: unheard.append(context))
    reading.machine.trouble = Trouble.SILENT
    reading.bmc.answers.clear()
    waiter = asyncio.create_task(reading.read.measure(HOST))
    await reading.bmc.asked.wait()
    waiter.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiter
    under_way = {*reading.read._under_way.values()}
    reading.bmc.answers.set()
    await asyncio.wait(under_way)
    del under_way
    await asyncio.sleep(0)
    gc.collect()
    assert unheard == []
    with pytest.raises(BmcError):
        await reading.read.measure(HOST)
