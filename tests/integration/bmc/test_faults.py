"""What a fragile BMC, its network and our own processes do to a call, and what stays true."""

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from lab.ipmi_sim import IpmiSim
from lab.lossy import Direction
from lab.stack import ROOT
from services.server_ops.adapters.bmc.governor import BmcGovernor
from services.server_ops.adapters.bmc.ipmi.session import IpmiSession, log_in
from services.server_ops.bmc.command import ChassisCommand, CommandOutcome
from services.server_ops.bmc.errors import BmcAuthFailed, BmcError, BmcUnreachable, Trouble
from services.server_ops.bmc.observation import PowerState
from tests.integration.bmc.rigs import LIMITS, IpmiRig, endpoint, ipmi_rig
from tests.integration.bmc.tap import IPMI, OPEN_RESPONSE, RAKP_1, RAKP_2
from tests.integration.conftest import eventually

RESET = ChassisCommand.HARD_RESET
COMMANDS = 10


SERVICE = """
import asyncio, sys
from services.server_ops.adapters.bmc.governor import BmcGovernor
from services.server_ops.bmc.endpoint import BmcEndpoint

async def main():
    driver = BmcGovernor()
    await driver.power(BmcEndpoint("127.0.0.1", int(sys.argv[1]), b"admin", b"not-a-secret"))
    print(*driver.worker_pids(), flush=True)
    await asyncio.sleep(60)

if __name__ == "__main__":
    asyncio.run(main())
"""


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[IpmiRig]:
    async with ipmi_rig(tmp_path / "sim") as made:
        yield made


def kind(datagram: bytes) -> int:
    """The payload type of an RMCP+ datagram; -1 for another."""
    return datagram[5] & 0x3F if len(datagram) > 5 and datagram[4] == 0x06 else -1


async def commands_are_true(rig: IpmiRig) -> None:
    """Sends commands: what is acknowledged was executed once, what did not leave was not.

    What is unknown may be executed later.
    """
    outcomes = []
    for _ in range(COMMANDS):
        with suppress(BmcUnreachable):
            outcomes.append(await rig.bmc.send_once(rig.endpoint, RESET))
    assert outcomes.count(CommandOutcome.ACKNOWLEDGED) <= rig.executed() <= len(outcomes)
    assert len(rig.tap.commands()) == len(outcomes)
    rig.proxy.mangle = lambda datagram, _direction: [datagram]
    assert (await rig.bmc.observe(rig.endpoint)).power is PowerState.ON


async def test_datagrams_that_come_twice_do_nothing_twice(rig: IpmiRig) -> None:
    def twice(datagram: bytes, direction: Direction) -> list[bytes]:
        # Requests are doubled until the first command: ipmi_sim does not know a number that it has
        # seen (section 6.12.13), and would execute it twice.
        again = direction is Direction.REPLY or not rig.tap.commands()
        return [datagram, datagram] if again else [datagram]

    rig.proxy.mangle = twice
    await commands_are_true(rig)
    assert rig.executed() == COMMANDS == len(rig.tap.commands())


async def test_datagrams_that_overtake_one_another_confuse_nobody(rig: IpmiRig) -> None:
    chance = random.Random(1)
    held: dict[Direction, list[bytes]] = {each: [] for each in Direction}

    def reorder(datagram: bytes, direction: Direction) -> list[bytes]:
        waiting = held[direction]
        if not waiting and chance.random() < 0.3:
            waiting.append(datagram)
            return []
        late, waiting[:] = [*waiting], []
        return [datagram, *late]

    rig.proxy.mangle = reorder
    await commands_are_true(rig)


def damaged(chance: random.Random, datagram: bytes) -> bytes:
    """A datagram as nobody sent it."""
    match chance.randrange(5):
        case 0:
            return datagram[: chance.randrange(len(datagram))]
        case 1:
            return chance.randbytes(chance.randrange(1, 200))
        case 2:
            return datagram[:4] + chance.randbytes(chance.randrange(1, 200))
        case 3:
            return datagram + chance.randbytes(8000)
        case _:
            at = chance.randrange(len(datagram))
            return (
                datagram[:at]
                + bytes([datagram[at] ^ 1 << chance.randrange(8)])
                + datagram[at + 1 :]
            )


@pytest.mark.parametrize("seed", range(3))
async def test_garbage_before_every_answer_is_not_believed(rig: IpmiRig, seed: int) -> None:
    chance = random.Random(seed)

    def garble(datagram: bytes, direction: Direction) -> list[bytes]:
        if direction is Direction.REQUEST:
            return [datagram]
        # The answers of a login are not signed: a damaged one is what the BMC said, and RAKP 2
        # with another code is what it says to a wrong password. UDP's checksum is all they have.
        if kind(datagram) != IPMI or not datagram[5] & 0x40:
            return [chance.randbytes(chance.randrange(1, 200)), datagram]
        return [*(damaged(chance, datagram) for _ in range(3)), datagram]

    rig.proxy.mangle = garble
    for _ in range(5):
        assert await rig.bmc.power(rig.endpoint) is PowerState.ON
    assert len(await rig.bmc.sensors(rig.endpoint)) == 4
    await commands_are_true(rig)
    assert rig.executed() == COMMANDS


async def test_garbage_in_a_login_is_an_error_of_ours_and_soon_over(rig: IpmiRig) -> None:
    chance = random.Random(1)
    rig.proxy.mangle = lambda datagram, direction: (
        [damaged(chance, datagram)] if direction is Direction.REPLY else [datagram]
    )
    begin = time.monotonic()
    with pytest.raises(BmcError):
        await rig.bmc.power(rig.endpoint)
    assert time.monotonic() - begin < LIMITS.power_seconds + 2
    rig.proxy.mangle = lambda datagram, _direction: [datagram]
    anew = replace(rig.endpoint, registration=2)  # if it was taken for a wrong password
    assert await rig.bmc.power(anew) is PowerState.ON


async def test_a_bmc_that_restarts_over_a_command_leaves_it_unknown(tmp_path: Path) -> None:
    async with ipmi_rig(tmp_path / "sim", observe_seconds=12) as rig:
        await rig.bmc.power(rig.endpoint)

        def unplug(datagram: bytes, direction: Direction) -> list[bytes]:
            if direction is Direction.REPLY and rig.tap.commands():
                rig.sim.stop()
                return []
            return [datagram]

        rig.proxy.mangle = unplug
        assert await rig.bmc.send_once(rig.endpoint, RESET) is CommandOutcome.UNKNOWN
        rig.proxy.mangle = lambda datagram, _direction: [datagram]
        rig.sim.start()
        assert (await rig.bmc.observe(rig.endpoint)).power is PowerState.ON
        assert len(rig.tap.commands()) == 1
        assert rig.executed() == 1


async def test_a_bmc_without_a_free_session_says_so_and_takes_us_later(tmp_path: Path) -> None:
    with IpmiSim(tmp_path / "sim") as sim:
        driver = BmcGovernor(replace(LIMITS, power_seconds=2))
        taken: list[IpmiSession] = []
        with suppress(TimeoutError):
            while len(taken) < 64:
                async with asyncio.timeout(1):
                    taken.append(await log_in(endpoint(sim), lambda _trouble: None))
        assert taken
        with pytest.raises(BmcUnreachable) as refused:
            await driver.power(endpoint(sim))
        assert refused.value.trouble is Trouble.NO_FREE_SESSION
        waiting = asyncio.create_task(driver.power(endpoint(sim)))
        for each in taken:
            each.logout()
        assert await waiting is PowerState.ON
        await driver.close()


@pytest.mark.parametrize("number", range(1, 13))
async def test_a_worker_killed_at_any_datagram_repeats_nothing(rig: IpmiRig, number: int) -> None:
    """From the first datagram of the login to the last of the command."""
    seen = 0

    def kill(datagram: bytes, _direction: Direction) -> list[bytes]:
        nonlocal seen
        seen += 1
        if seen == number:
            for pid in rig.driver.worker_pids():
                os.kill(pid, signal.SIGKILL)
        return [datagram]

    rig.proxy.mangle = kill
    outcome: CommandOutcome | None = None
    with suppress(BmcUnreachable):
        outcome = await rig.bmc.send_once(rig.endpoint, RESET)
    assert (await rig.bmc.observe(rig.endpoint)).power is PowerState.ON
    executed = rig.executed()
    assert len(rig.tap.commands()) <= 1
    assert executed <= 1
    if outcome is None:
        assert executed == 0, "said not to have left"
    if outcome is CommandOutcome.ACKNOWLEDGED:
        assert executed == 1


async def test_a_wrong_password_is_shown_once_however_many_ask(rig: IpmiRig) -> None:
    logins = 0

    def count(datagram: bytes, direction: Direction) -> list[bytes]:
        nonlocal logins
        logins += direction is Direction.REQUEST and kind(datagram) == RAKP_1
        return [datagram]

    rig.proxy.mangle = count
    wrong = replace(rig.endpoint, password=b"wrong")
    calls: list[Callable[[], object]] = [
        lambda: rig.bmc.power(wrong),
        lambda: rig.bmc.observe(wrong),
        lambda: rig.bmc.sensors(wrong),
        lambda: rig.bmc.send_once(wrong, RESET),
    ]
    outcomes = await asyncio.gather(
        *(call() for call in calls * 5),  # type: ignore[call-overload]
        return_exceptions=True,
    )
    assert {type(each) for each in outcomes} == {BmcAuthFailed}
    assert logins == 1


async def test_a_bmc_that_fails_is_left_alone_and_tried_again_by_itself(tmp_path: Path) -> None:
    async with ipmi_rig(
        tmp_path / "sim", failures=2, back_off_seconds=0.5, power_seconds=0.4
    ) as rig:
        rig.be_silent()
        for _ in range(2):
            with pytest.raises(BmcUnreachable) as failed:
                await rig.bmc.power(rig.endpoint)
            assert failed.value.trouble is Trouble.NO_ANSWER
        dropped = rig.proxy.dropped
        with pytest.raises(BmcUnreachable) as spared:
            await rig.bmc.power(rig.endpoint)
        assert spared.value.trouble is Trouble.BACKING_OFF
        assert spared.value.retry_after_seconds is not None
        assert spared.value.retry_after_seconds <= 0.5
        assert rig.proxy.dropped == dropped, "nothing was sent"
        rig.be_well()
        # An operation that waits for the machine looks at once.
        assert (await rig.bmc.observe(rig.endpoint)).power is PowerState.ON
        await asyncio.sleep(spared.value.retry_after_seconds)
        assert await rig.bmc.power(rig.endpoint) is PowerState.ON


async def test_silence_in_a_long_reading_holds_up_nobody_for_longer_than_an_edge_waits(
    tmp_path: Path,
) -> None:
    """What reads all sensors may take a minute; a BMC that says nothing at all may not."""
    async with ipmi_rig(tmp_path / "sim", power_seconds=5) as rig:
        await rig.bmc.power(rig.endpoint)
        answers = 0

        def drop(_datagram: bytes, direction: Direction) -> bool:
            nonlocal answers
            answers += direction is Direction.REPLY
            return answers > 3

        rig.proxy.drop = drop
        async with asyncio.timeout(14):
            calls = [rig.bmc.sensors(rig.endpoint), *(rig.bmc.power(rig.endpoint) for _ in "12")]
            ends = await asyncio.gather(*calls, return_exceptions=True)
        for end in ends:
            assert isinstance(end, BmcUnreachable)
            assert end.trouble is Trouble.NO_ANSWER


async def test_a_line_that_is_too_long_is_refused_at_once(tmp_path: Path) -> None:
    async with ipmi_rig(tmp_path / "sim", queue=3, failures=100) as rig:
        rig.be_silent()
        calls = [asyncio.create_task(rig.bmc.power(rig.endpoint)) for _ in range(10)]
        done, waiting = await asyncio.wait(calls, timeout=0.2)
        troubles = [each.exception() for each in done]
        assert len(troubles) == 6
        assert all(
            isinstance(each, BmcUnreachable) and each.trouble is Trouble.TOO_MANY_CALLS
            for each in troubles
        )
        for each in waiting:
            each.cancel()
        await asyncio.wait(waiting)


def held(rig: IpmiRig, worker: int) -> tuple[int, ...]:
    """Open descriptors of the worker, and of this process but for its proxy, and tasks."""
    theirs, ours = (len(os.listdir(f"/proc/{pid}/fd")) for pid in (worker, os.getpid()))
    return theirs, ours - rig.proxy.clients, len(asyncio.all_tasks())


def holds_no_more(rig: IpmiRig, worker: int, before: tuple[int, ...]) -> bool:
    return all(now <= was for now, was in zip(held(rig, worker), before, strict=True))


async def test_faults_leave_no_descriptor_open(tmp_path: Path) -> None:
    async with ipmi_rig(
        tmp_path / "sim", power_seconds=0.1, failures=10**6, spacing_seconds=0.0
    ) as rig:
        await rig.bmc.power(rig.endpoint)
        [worker] = rig.driver.worker_pids()
        before = held(rig, worker)
        for number in range(60):
            rig.proxy.drop = (lambda *_: True) if number % 2 else rig.tap
            with suppress(BmcUnreachable):
                await rig.bmc.power(rig.endpoint)
        rig.be_well()
        with suppress(BmcUnreachable):
            await rig.bmc.power(rig.endpoint)
        assert [worker] == rig.driver.worker_pids()
        # The end of the last call may still be under way.
        for _ in range(400):
            if holds_no_more(rig, worker, before):
                break
            await asyncio.sleep(0.05)
        assert holds_no_more(rig, worker, before), (held(rig, worker), before)


def test_workers_end_with_the_service_that_is_killed(tmp_path: Path) -> None:
    (tmp_path / "service.py").write_text(SERVICE)
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'gen'}"}
    with IpmiSim(tmp_path / "sim") as sim:
        command = [sys.executable, str(tmp_path / "service.py"), str(sim.port)]
        with subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, text=True
        ) as service:
            assert service.stdout is not None
            workers = [int(pid) for pid in service.stdout.readline().split()]
            service.kill()
        assert workers
        eventually(lambda: not any(Path(f"/proc/{pid}/exe").exists() for pid in workers), 10)


async def test_garbage_for_one_bmc_does_not_hold_up_another(rig: IpmiRig, tmp_path: Path) -> None:
    flood = random.Random(1).randbytes(200)

    def garble(datagram: bytes, direction: Direction) -> list[bytes]:
        return [flood] * 100 + [datagram] if direction is Direction.REPLY else [datagram]

    rig.proxy.mangle = garble
    with IpmiSim(tmp_path / "other") as sim:
        await rig.bmc.power(endpoint(sim))
        flooded = asyncio.create_task(rig.bmc.sensors(rig.endpoint))
        begin = time.monotonic()
        for _ in range(10):
            assert await rig.bmc.power(endpoint(sim)) is PowerState.ON
        assert time.monotonic() - begin < 2
        assert len(await flooded) == 4


def test_the_kinds_of_datagrams_are_told_apart() -> None:
    """Or the tests above damage nothing."""
    header = b"\x06\x00\xff\x07\x06"
    for each in (IPMI, OPEN_RESPONSE, RAKP_1, RAKP_2):
        assert kind(header + bytes([each | 0xC0])) == each
