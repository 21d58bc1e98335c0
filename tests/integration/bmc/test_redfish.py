"""Redfish on sushy-tools' emulator: what the contract of all drivers does not say."""

import json
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sushy.exceptions import HTTPError

from lab.redfish_sim import SYSTEM
from services.server_ops.adapters.bmc.governor import BmcGovernor
from services.server_ops.adapters.bmc.redfish.transport import (
    NotSent,
    RedfishConnector,
    moment,
)
from services.server_ops.bmc.command import ChassisCommand, CommandOutcome
from services.server_ops.bmc.contact import Result, Stage
from services.server_ops.bmc.errors import (
    BmcAuthFailed,
    BmcRefused,
    BmcUnreachable,
    BmcUnsupported,
    ConsoleTaken,
    LogErased,
)
from services.server_ops.bmc.event import LogEvent
from services.server_ops.bmc.identity import Feature
from services.server_ops.bmc.observation import PowerState
from services.server_ops.bmc.sensor import Health
from tests.integration.bmc.rigs import LIMITS, RedfishRig, redfish_rig

RESET = ChassisCommand.HARD_RESET
SYSTEM_PATH = f"/redfish/v1/Systems/{SYSTEM}"


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[RedfishRig]:
    async with redfish_rig(tmp_path / "sim") as made:
        yield made


def resets(rig: RedfishRig) -> int:
    """How many requests for a reset came."""
    return sum(each.endswith("ComputerSystem.Reset") for each in rig.sim.requests)


@pytest.mark.parametrize("lost", ["lose_command", "lose_reply"])
async def test_a_reset_leaves_once_whatever_is_lost(rig: RedfishRig, lost: str) -> None:
    setattr(rig.sim, lost, True)
    assert await rig.bmc.send_once(rig.endpoint, RESET) is CommandOutcome.UNKNOWN
    assert resets(rig) == 1


async def test_a_reset_that_is_not_answered_in_time_leaves_once(rig: RedfishRig) -> None:
    await rig.bmc.power(rig.endpoint)

    def hang(verb: str, path: str) -> None:
        if verb == "POST" and path.endswith("Reset"):
            rig.sim.well.clear()
            rig.sim.well.wait()

    rig.sim.answer = hang
    begin = time.monotonic()
    assert await rig.bmc.send_once(rig.endpoint, RESET) is CommandOutcome.UNKNOWN
    assert time.monotonic() - begin < LIMITS.answer_seconds + 1
    assert resets(rig) == 1


def test_what_was_given_up_before_its_thread_began_does_not_leave(rig: RedfishRig) -> None:
    connector = RedfishConnector(f"https://127.0.0.1:{rig.sim.port}", str(rig.sim.trust))
    with moment(time.monotonic() - 0.001), pytest.raises(NotSent):
        connector.post("/redfish/v1/Systems/x/Actions/ComputerSystem.Reset", data={})
    with moment(time.monotonic() + 5), pytest.raises(HTTPError):
        connector.post("/redfish/v1/Systems/x/Actions/ComputerSystem.Reset", data={})
    assert resets(rig) == 1


@pytest.mark.parametrize(
    ("status", "outcome"),
    [(400, BmcRefused), (409, BmcRefused), (405, BmcRefused), (500, CommandOutcome.UNKNOWN)],
)
async def test_what_a_bmc_says_to_a_reset(rig: RedfishRig, status: int, outcome: Any) -> None:
    def say(verb: str, path: str) -> tuple[int, bytes] | None:
        return (status, b"{}") if path.endswith("Reset") else None

    rig.sim.answer = say
    if outcome is BmcRefused:
        with pytest.raises(BmcRefused) as refused:
            await rig.bmc.send_once(rig.endpoint, RESET)
        assert refused.value.completion_code == status
    else:
        assert await rig.bmc.send_once(rig.endpoint, RESET) is outcome
    assert resets(rig) == 1


async def test_a_reset_that_the_system_does_not_have_is_not_sent(rig: RedfishRig) -> None:
    status, content = rig.sim.ask_emulator("GET", SYSTEM_PATH, None)
    system = json.loads(content)
    system["Actions"]["#ComputerSystem.Reset"]["ResetType@Redfish.AllowableValues"] = ["On"]

    def say(verb: str, path: str) -> tuple[int, bytes] | None:
        return (status, json.dumps(system).encode()) if path == SYSTEM_PATH else None

    rig.sim.answer = say
    with pytest.raises(BmcUnsupported):
        await rig.bmc.send_once(rig.endpoint, RESET)
    assert resets(rig) == 0


async def test_one_session_is_kept_renewed_and_given_back(rig: RedfishRig) -> None:
    for _ in range(3):
        await rig.bmc.power(rig.endpoint)
    assert len(rig.sim.tokens) == 1
    rig.sim.tokens.clear()  # it expires
    assert await rig.bmc.power(rig.endpoint) is PowerState.ON
    assert len(rig.sim.tokens) == 1
    await rig.driver.close()
    assert rig.sim.tokens == set()


async def test_without_a_session_service_it_logs_in_with_each_request(rig: RedfishRig) -> None:
    rig.sim.has_sessions = False
    assert await rig.bmc.power(rig.endpoint) is PowerState.ON
    assert await rig.bmc.send_once(rig.endpoint, RESET) is CommandOutcome.ACKNOWLEDGED
    with pytest.raises(BmcAuthFailed):
        await rig.bmc.power(replace(rig.endpoint, password=b"wrong"))


async def test_a_wrong_login_is_tried_once(rig: RedfishRig) -> None:
    wrong = replace(rig.endpoint, password=b"wrong")
    for _ in range(3):
        with pytest.raises(BmcAuthFailed):
            await rig.bmc.power(wrong)
    assert sum(each.startswith("POST") for each in rig.sim.requests) == 1


async def test_whoever_is_not_known_is_told_nothing(rig: RedfishRig, tmp_path: Path) -> None:
    """The system's authorities did not sign this certificate."""
    stranger = BmcGovernor(LIMITS)
    with pytest.raises(BmcUnreachable):
        await stranger.power(rig.endpoint)
    await stranger.close()
    assert rig.sim.requests == []
    anybody = BmcGovernor(LIMITS, trust=False)
    assert await anybody.power(rig.endpoint) is PowerState.ON
    await anybody.close()


async def test_no_login_goes_where_a_bmc_points(rig: RedfishRig) -> None:
    """Another host in a link, and a redirect: the request ends there."""
    elsewhere = b'{"Links": {"Sessions": {"@odata.id": "https://127.0.0.2:1/Sessions"}}}'
    for root in ((200, elsewhere), (307, b"{}")):

        def say(_verb: str, path: str, root: tuple[int, bytes] = root) -> tuple[int, bytes] | None:
            return root if path == "/redfish/v1" else None

        rig.sim.answer = say
        with pytest.raises((BmcUnreachable, BmcUnsupported)):
            await rig.bmc.power(rig.endpoint)
    assert {each for each in rig.sim.requests if each != "GET /redfish/v1"} == set()


@pytest.mark.parametrize(
    "content",
    [
        b"<html>busy</html>",
        b"",
        b"[]",
        b"null",
        b'{"Systems": 7}',
        b'{"Systems": {"@odata.id": ["/a"]}}',
        b'{"Members": [{}]}',
        b'{"Members": [{"@odata.id": 7}]}',
        b"[" * 100_000,
        b" " * 5_000_000,
    ],
    ids=lambda content: content[:20],
)
async def test_nonsense_is_an_error_of_ours_and_the_worker_lives_on(
    rig: RedfishRig, content: bytes
) -> None:
    pids = rig.driver.worker_pids()
    rig.sim.answer = lambda verb, _path: (200, content) if verb == "GET" else None
    with pytest.raises((BmcUnreachable, BmcUnsupported)):
        await rig.bmc.power(rig.endpoint)
    rig.sim.answer = lambda _verb, _path: None
    assert await rig.bmc.power(rig.endpoint) is PowerState.ON
    assert not pids or rig.driver.worker_pids() == pids


async def test_the_identity(rig: RedfishRig) -> None:
    identity = await rig.bmc.identify(rig.endpoint)
    assert (identity.guid, identity.version) == (SYSTEM, "1.5.0")
    assert identity.manufacturer == "Sushy Emulator"
    assert identity.firmware
    assert identity.features == {Feature.EVENT_LOG, Feature.SENSORS}


async def test_the_sensors_have_units_bounds_and_health(rig: RedfishRig) -> None:
    sensors = {each.name: each for each in await rig.bmc.sensors(rig.endpoint)}
    cpu = sensors["CPU Temp"]
    assert (cpu.type, cpu.value, cpu.unit, cpu.health) == ("Temperature", 41.0, "°C", Health.OK)
    assert (cpu.thresholds.upper_non_critical, cpu.thresholds.upper_critical) == (42.0, 45.0)
    fans = [each for each in sensors.values() if each.type == "Fan"]
    assert fans
    assert {each.unit for each in fans} == {"RPM"}


def entry(number: int, text: str, **more: Any) -> dict[str, Any]:
    created = f"2026-11-{number:02d}T08:00:00+02:00"
    return {"Id": str(number), "Created": created, "Message": text, "Severity": "OK", **more}


async def test_the_event_log_is_read_from_its_oldest_record_on(rig: RedfishRig) -> None:
    rig.sim.log = [
        entry(3, "Fan 2 failed.", Severity="Critical", SensorType="Fan"),
        entry(2, "The system was started."),
        entry(1, "The log was cleared."),
    ]
    first = await rig.bmc.events(rig.endpoint, None, 2)
    assert [each.text for each in first.events] == [
        "The log was cleared.",
        "The system was started.",
    ]
    assert first.total == 3
    assert first.events[0].time is not None
    assert first.events[0].time.isoformat() == "2026-11-01T06:00:00+00:00"
    second = await rig.bmc.events(rig.endpoint, first.following, 2)
    [fan] = second.events
    assert (fan.record, fan.type, fan.health) == (3, "Fan", Health.CRITICAL)
    assert isinstance(fan, LogEvent)
    assert second.following is None
    rig.sim.log = [entry(9, "The log was cleared.")]
    with pytest.raises(LogErased):
        await rig.bmc.events(rig.endpoint, first.following, 2)


async def test_the_stages_of_reaching_it(rig: RedfishRig) -> None:
    stages = await rig.bmc.test(rig.endpoint)
    assert {each.result for each in stages} == {Result.PASSED}
    assert rig.sim.tokens == set()
    wrong = await rig.bmc.test(replace(rig.endpoint, password=b"wrong"))
    assert [(each.stage, each.result) for each in wrong] == [
        (Stage.PING, Result.PASSED),
        (Stage.SESSION, Result.PASSED),
        (Stage.PASSWORD, Result.FAILED),
    ]
    assert wrong[-1].wrong
    rig.be_silent()
    silent = await rig.bmc.test(rig.endpoint)
    assert [each.result for each in silent] == [Result.FAILED, Result.SKIPPED, Result.SKIPPED]


async def test_it_has_no_serial_console(rig: RedfishRig) -> None:
    for _ in range(2):
        with pytest.raises(BmcUnsupported):
            async with rig.driver.console(rig.endpoint):
                raise ConsoleTaken
