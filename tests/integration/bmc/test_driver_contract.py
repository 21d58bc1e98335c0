"""What every Bmc driver keeps to, the fake included."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from services.server_ops.bmc.boot import BootDevice, BootOverride
from services.server_ops.bmc.command import ChassisCommand, CommandOutcome
from services.server_ops.bmc.errors import BmcAuthFailed, BmcUnreachable
from services.server_ops.bmc.observation import Observation, PowerState
from services.server_ops.bmc.proof import Proof, restart_proof
from tests.integration.bmc.rigs import FakeRig, Rig, ipmi_rig, redfish_rig


@pytest.fixture(params=["fake", "ipmi_sim", "redfish"])
async def rig(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Rig]:
    if request.param == "fake":
        yield FakeRig()
        return
    begin = ipmi_rig if request.param == "ipmi_sim" else redfish_rig
    async with begin(tmp_path / "sim") as real:
        yield real


async def _proof(rig: Rig, before: Observation, seconds: float = 5) -> Proof | None:
    seen: list[Observation] = []
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        seen.append(await rig.bmc.observe(rig.endpoint, before.sel))
        if proof := restart_proof(before, seen):
            return proof
    return None


async def _seen(rig: Rig, power: PowerState) -> None:
    """Waits until the machine's power is so: hardware takes its time."""
    async with asyncio.timeout(5):
        while (await rig.bmc.observe(rig.endpoint)).power is not power:  # noqa: ASYNC110
            await asyncio.sleep(0.1)


@pytest.mark.parametrize("command", [ChassisCommand.HARD_RESET, ChassisCommand.POWER_CYCLE])
async def test_a_restart_is_executed_once_and_seen(rig: Rig, command: ChassisCommand) -> None:
    before = await rig.bmc.observe(rig.endpoint)
    assert await rig.bmc.send_once(rig.endpoint, command) is CommandOutcome.ACKNOWLEDGED
    assert await _proof(rig, before) in {Proof.EVENT_LOG, Proof.POWER_OFF_THEN_ON}
    assert rig.executed() == 1


async def test_a_restart_before_the_mark_is_no_proof(rig: Rig) -> None:
    first = await rig.bmc.observe(rig.endpoint)
    await rig.bmc.send_once(rig.endpoint, ChassisCommand.HARD_RESET)
    assert await _proof(rig, first)
    later = await rig.bmc.observe(rig.endpoint)
    assert later.sel != first.sel
    assert restart_proof(later, [await rig.bmc.observe(rig.endpoint, later.sel)]) is None


async def test_off_is_seen_and_on_again(rig: Rig) -> None:
    for command, power in (
        (ChassisCommand.POWER_OFF, PowerState.OFF),
        (ChassisCommand.POWER_ON, PowerState.ON),
    ):
        await rig.bmc.send_once(rig.endpoint, command)
        await _seen(rig, power)


@pytest.mark.parametrize("once", [True, False])
async def test_the_last_boot_device_that_was_set_counts(rig: Rig, once: bool) -> None:
    assert rig.boot() in {"", "disk"}
    for device, told in ((BootDevice.NETWORK, "pxe"), (BootDevice.DISK, "disk")):
        for _ in range(2):
            await rig.bmc.set_boot(rig.endpoint, BootOverride(device, once=once))
        assert rig.boot() == told
    assert rig.executed() == 0


async def test_a_lost_command_is_unknown_and_never_executed(rig: Rig) -> None:
    rig.lose_the_command()
    outcome = await rig.bmc.send_once(rig.endpoint, ChassisCommand.HARD_RESET)
    assert outcome is CommandOutcome.UNKNOWN
    rig.be_well()
    assert (await rig.bmc.observe(rig.endpoint)).power is PowerState.ON
    assert rig.executed() == 0


async def test_a_lost_reply_is_unknown_and_executed_once(rig: Rig) -> None:
    rig.lose_the_reply()
    outcome = await rig.bmc.send_once(rig.endpoint, ChassisCommand.HARD_RESET)
    assert outcome is CommandOutcome.UNKNOWN
    rig.be_well()
    await _seen(rig, PowerState.ON)
    assert rig.executed() == 1


async def test_a_silent_bmc_is_unreachable_for_looks_and_commands(rig: Rig) -> None:
    rig.be_silent()
    begin = time.monotonic()
    with pytest.raises(BmcUnreachable):
        await rig.bmc.observe(rig.endpoint)
    with pytest.raises(BmcUnreachable):  # not UNKNOWN: the command cannot have left
        await rig.bmc.send_once(rig.endpoint, ChassisCommand.HARD_RESET)
    assert time.monotonic() - begin < 7
    assert rig.executed() == 0


async def test_a_session_that_goes_silent_is_unreachable_and_then_well_again(rig: Rig) -> None:
    await rig.bmc.observe(rig.endpoint)
    rig.be_silent()
    with pytest.raises(BmcUnreachable):
        await rig.bmc.send_once(rig.endpoint, ChassisCommand.HARD_RESET)
    rig.be_well()
    assert (await rig.bmc.observe(rig.endpoint)).power is PowerState.ON
    assert rig.executed() == 0


@pytest.mark.parametrize("wrong", [{"password": b"wrong"}, {"username": b"nobody"}], ids=str)
async def test_a_wrong_login_is_told_at_once_and_in_no_text(
    rig: Rig, wrong: dict[str, Any]
) -> None:
    endpoint = replace(rig.endpoint, **wrong)
    begin = time.monotonic()
    with pytest.raises(BmcAuthFailed) as failed:
        await rig.bmc.observe(endpoint)
    with pytest.raises(BmcAuthFailed):
        await rig.bmc.send_once(endpoint, ChassisCommand.HARD_RESET)
    assert time.monotonic() - begin < 2
    assert str(failed.value) == ""
    assert (await rig.bmc.observe(rig.endpoint)).power is PowerState.ON


async def test_commands_of_many_callers_are_each_executed_once(rig: Rig) -> None:
    resets = (rig.bmc.send_once(rig.endpoint, ChassisCommand.HARD_RESET) for _ in range(5))
    looks = (rig.bmc.observe(rig.endpoint) for _ in range(5))
    outcomes, _ = await asyncio.gather(asyncio.gather(*resets), asyncio.gather(*looks))
    assert set(outcomes) == {CommandOutcome.ACKNOWLEDGED}
    assert rig.executed() == 5
