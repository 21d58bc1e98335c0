"""Worker processes: killable, bounded, given back, and without secrets where others can look."""

import asyncio
import os
import signal
import socket
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from lab.lossy import Direction
from lab.ports import free_port
from services.server_ops.adapters.bmc.governor import BmcGovernor
from services.server_ops.adapters.bmc.worker import MARGIN_SECONDS
from services.server_ops.bmc.endpoint import BmcEndpoint
from services.server_ops.bmc.errors import BmcUnreachable
from services.server_ops.bmc.observation import PowerState
from tests.integration.bmc.rigs import LIMITS, IpmiRig, endpoint, ipmi_rig
from tests.integration.bmc.tap import RAKP_1, RAKP_2
from tests.integration.conftest import eventually


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[IpmiRig]:
    async with ipmi_rig(tmp_path / "sim") as real:
        yield real


def _is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


async def test_nobody_there_is_unreachable_within_the_deadline() -> None:
    driver = BmcGovernor(LIMITS)
    begin = time.monotonic()
    with pytest.raises(BmcUnreachable):
        await driver.observe(BmcEndpoint("127.0.0.1", free_port(socket.SOCK_DGRAM), b"admin", b"x"))
    assert time.monotonic() - begin < LIMITS.observe_seconds + 0.5
    await driver.close()


async def test_a_bmc_silent_at_rakp_1_is_unreachable_and_its_worker_lives_on(rig: IpmiRig) -> None:
    def silent(datagram: bytes, direction: Direction) -> bool:
        return direction is Direction.REQUEST and datagram[5] & 0x3F == RAKP_1

    rig.proxy.drop = silent
    begin = time.monotonic()
    with pytest.raises(BmcUnreachable):
        await rig.bmc.observe(rig.endpoint)
    assert time.monotonic() - begin < LIMITS.observe_seconds + 0.5
    [pid] = rig.driver.worker_pids()
    rig.be_well()
    assert (await rig.bmc.observe(rig.endpoint)).power is PowerState.ON
    assert rig.driver.worker_pids() == [pid]


async def test_a_late_rakp_2_is_not_taken_for_a_wrong_password(rig: IpmiRig) -> None:
    late: list[bytes] = []

    def reorder(datagram: bytes, direction: Direction) -> bool:
        if direction is Direction.REPLY and datagram[5] & 0x3F == RAKP_2:
            if len(late) < 2:
                late.append(datagram)
                return True  # lost for now: the client begins a new login
            # The second comes just before the third. (The first bears another message tag, for the
            # client was still finding out which algorithms there are.)
            [client] = rig.proxy._clients.values()
            rig.proxy._front.sendto(late[1], client)
        return rig.tap(datagram, direction)

    rig.proxy.drop = reorder
    assert (await rig.bmc.observe(rig.endpoint)).power is PowerState.ON
    assert len(late) == 2


async def test_a_worker_that_was_killed_is_replaced_at_once(rig: IpmiRig) -> None:
    await rig.bmc.observe(rig.endpoint)
    [pid] = rig.driver.worker_pids()
    os.kill(pid, 9)
    begin = time.monotonic()
    assert (await rig.bmc.observe(rig.endpoint)).power is PowerState.ON
    assert time.monotonic() - begin < 1
    assert rig.driver.worker_pids() != [pid]


async def test_a_rested_session_is_closed_at_the_bmc(tmp_path: Path) -> None:
    async with ipmi_rig(tmp_path / "sim", idle_seconds=0.2) as rig:
        await rig.bmc.observe(rig.endpoint)
        assert await asyncio.to_thread(eventually, lambda: _closed(rig), 5)
        assert (await rig.bmc.observe(rig.endpoint)).power is PowerState.ON


def _closed(rig: IpmiRig) -> bool:
    """Whether Close Session, IPMI 2.0 section 22.19, was sent."""
    return (6, 0x3C) in {(m.netfn, m.command) for m in rig.tap.messages}


async def test_a_worker_that_stands_still_is_ended_and_replaced(rig: IpmiRig) -> None:
    await rig.bmc.observe(rig.endpoint)
    [pid] = rig.driver.worker_pids()
    os.kill(pid, signal.SIGSTOP)
    begin = time.monotonic()
    with pytest.raises(BmcUnreachable):
        await rig.bmc.observe(rig.endpoint)
    assert time.monotonic() - begin < LIMITS.observe_seconds + MARGIN_SECONDS + 1
    assert _is_gone(pid)
    assert (await rig.bmc.observe(rig.endpoint)).power is PowerState.ON


async def test_one_session_serves_many_calls(rig: IpmiRig) -> None:
    logins = 0

    def count(datagram: bytes, direction: Direction) -> bool:
        nonlocal logins
        logins += direction is Direction.REQUEST and datagram[5] & 0x3F == RAKP_1
        return rig.tap(datagram, direction)

    rig.proxy.drop = count
    await asyncio.gather(*(rig.bmc.observe(rig.endpoint) for _ in range(10)))
    assert logins == 1
    assert len(rig.driver.worker_pids()) == 1


async def test_calls_to_one_bmc_are_spaced(tmp_path: Path) -> None:
    async with ipmi_rig(tmp_path / "sim", spacing_seconds=0.3) as rig:
        await rig.bmc.observe(rig.endpoint)
        begin = time.monotonic()
        await asyncio.gather(*(rig.bmc.observe(rig.endpoint) for _ in range(3)))
        assert time.monotonic() - begin >= 0.9


async def test_many_bmcs_share_the_workers_at_once(tmp_path: Path) -> None:
    async with AsyncExitStack() as exits:
        rigs = [
            await exits.enter_async_context(ipmi_rig(tmp_path / str(n), workers=2))
            for n in range(6)
        ]
        driver = rigs[0].driver
        await asyncio.gather(
            *(driver.observe(endpoint(each.sim, each.proxy.port)) for each in rigs)
        )
        assert len(driver.worker_pids()) == 2


async def test_a_dead_bmc_does_not_hold_up_another(tmp_path: Path, rig: IpmiRig) -> None:
    nobody = BmcEndpoint("127.0.0.1", free_port(socket.SOCK_DGRAM), b"admin", b"x")
    await rig.bmc.observe(rig.endpoint)
    dead = asyncio.create_task(rig.bmc.observe(nobody))
    begin = time.monotonic()
    for _ in range(5):
        await rig.bmc.observe(rig.endpoint)
    assert time.monotonic() - begin < 1
    assert not dead.done()
    with pytest.raises(BmcUnreachable):
        await dead


def _shown(pid: int) -> bytes:
    """What a worker shows to whoever may look at processes."""
    return b"".join(Path(f"/proc/{pid}/{name}").read_bytes() for name in ("cmdline", "environ"))


async def test_a_worker_shows_no_secret_to_others(rig: IpmiRig) -> None:
    await rig.bmc.observe(rig.endpoint)
    [pid] = rig.driver.worker_pids()
    assert rig.endpoint.password not in _shown(pid)
