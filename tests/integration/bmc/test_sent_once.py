"""A chassis command is one datagram, whatever is lost: read off the wire, counted at the BMC."""

import asyncio
import os
import time
from collections import Counter
from pathlib import Path

import pytest

from lab.lossy import Direction
from services.server_ops.bmc.command import ChassisCommand, CommandOutcome
from services.server_ops.bmc.errors import BmcUnreachable
from services.server_ops.bmc.observation import PowerState
from tests.integration.bmc.rigs import ipmi_rig
from tests.integration.bmc.tap import Message

RUNS = 30


async def _reset_under_loss(folder: Path, seed: int) -> str:
    limits = {"observe_seconds": 10, "login_seconds": 4, "answer_seconds": 0.7}
    async with ipmi_rig(folder, seed=seed, **limits) as rig:
        if seed % 3:
            await rig.bmc.observe(rig.endpoint)  # two of three have a session when the loss begins
        rig.tap.loss = 0.3
        try:
            outcome = (await rig.bmc.send_once(rig.endpoint, ChassisCommand.HARD_RESET)).name
        except BmcUnreachable:
            outcome = "UNREACHABLE"
        # What might resend later gets its chance: other calls on the same worker.
        rig.tap.loss = 0.0
        await rig.bmc.observe(rig.endpoint)
        executed, left = rig.executed(), len(rig.tap.commands())
        assert (outcome, left, executed) in {
            ("ACKNOWLEDGED", 1, 1),
            ("UNKNOWN", 1, 1),  # the answer was lost
            ("UNKNOWN", 1, 0),  # the command was
            ("UNREACHABLE", 0, 0),
        }
        return f"{outcome} {executed}"


async def test_under_loss_no_command_leaves_twice_and_every_outcome_is_true(tmp_path: Path) -> None:
    outcomes = Counter[str]()
    for begin in range(0, RUNS, 15):
        runs = (_reset_under_loss(tmp_path / str(n), n) for n in range(begin, begin + 15))
        outcomes.update(await asyncio.gather(*runs))
    assert outcomes["ACKNOWLEDGED 1"]
    assert outcomes["UNKNOWN 0"] + outcomes["UNKNOWN 1"]


@pytest.mark.parametrize("direction", Direction)
async def test_the_wire_carries_the_command_once(tmp_path: Path, direction: Direction) -> None:
    # pyghmi's first resend would come after a second at most.
    async with ipmi_rig(tmp_path / "sim", answer_seconds=3) as rig:
        rig.tap.lose = lambda m: m.is_command and m.direction is direction
        outcome = await rig.bmc.send_once(rig.endpoint, ChassisCommand.POWER_CYCLE)
        assert outcome is CommandOutcome.UNKNOWN
        rig.be_well()
        await rig.bmc.observe(rig.endpoint)
        await rig.bmc.close()
        assert [m.data for m in rig.tap.commands()] == [bytes([ChassisCommand.POWER_CYCLE])]
        assert rig.executed() == (0 if direction is Direction.REQUEST else 1)


async def test_an_answer_that_is_late_is_still_taken(tmp_path: Path) -> None:
    async with ipmi_rig(tmp_path / "sim", answer_seconds=5) as rig:

        def hold(message: Message) -> bool:
            if message.is_command and message.direction is Direction.REPLY:
                time.sleep(1.5)  # this is the BMC that is slow, not a condition
            return False

        rig.tap.lose = hold
        outcome = await rig.bmc.send_once(rig.endpoint, ChassisCommand.HARD_RESET)
        assert outcome is CommandOutcome.ACKNOWLEDGED
        assert len(rig.tap.commands()) == 1


async def test_a_bmc_that_lost_our_session_is_logged_in_to_before_the_command(
    tmp_path: Path,
) -> None:
    async with ipmi_rig(tmp_path / "sim", login_seconds=12) as rig:
        await rig.bmc.observe(rig.endpoint)
        rig.sim.stop()
        rig.sim.start()
        outcome = await rig.bmc.send_once(rig.endpoint, ChassisCommand.HARD_RESET)
        assert outcome is CommandOutcome.ACKNOWLEDGED
        assert len(rig.tap.commands()) == rig.executed() == 1


async def test_a_worker_that_dies_over_the_command_leaves_it_unknown(tmp_path: Path) -> None:
    async with ipmi_rig(tmp_path / "sim", answer_seconds=10) as rig:
        await rig.bmc.observe(rig.endpoint)
        [pid] = rig.driver.worker_pids()

        def kill(message: Message) -> bool:
            if message.is_command and message.direction is Direction.REQUEST:
                os.kill(pid, 9)
            return False

        rig.tap.lose = kill
        begin = time.monotonic()
        outcome = await rig.bmc.send_once(rig.endpoint, ChassisCommand.HARD_RESET)
        assert outcome is CommandOutcome.UNKNOWN
        assert time.monotonic() - begin < 5  # its death is seen, not waited for
        rig.be_well()
        assert (await rig.bmc.observe(rig.endpoint)).power is PowerState.ON
        assert rig.executed() == 1


async def test_a_caller_that_gives_up_leaves_nothing_behind_that_sends(tmp_path: Path) -> None:
    async with ipmi_rig(tmp_path / "sim", answer_seconds=10) as rig:
        left = asyncio.Event()
        loop = asyncio.get_running_loop()

        def lose(message: Message) -> bool:
            if message.is_command:
                loop.call_soon_threadsafe(left.set)
            return message.is_command

        rig.tap.lose = lose
        call = asyncio.create_task(rig.bmc.send_once(rig.endpoint, ChassisCommand.HARD_RESET))
        await left.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        rig.be_well()
        await rig.bmc.observe(rig.endpoint)
        assert (len(rig.tap.commands()), rig.executed()) == (1, 0)
