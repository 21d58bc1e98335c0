"""The contract of a BMC driver, on the real protocol: ipmi_sim, and the simulated fleet's BMC."""

import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from lab.ipmi_sim import IpmiSim, free_udp_port
from lab.lossy import Direction, LossyProxy
from lab.process import Process
from lab.stack import ROOT
from services.server_ops.adapters.bmc.pyghmi_bmc import Limits, PyghmiBmc
from services.server_ops.bmc.command import ChassisCommand, CommandOutcome
from services.server_ops.bmc.endpoint import BmcEndpoint
from services.server_ops.bmc.errors import BmcAuthFailed, BmcRefused, BmcUnreachable
from services.server_ops.bmc.observation import PowerState
from services.server_ops.bmc.proof import restart_proof
from tests.integration.conftest import eventually

LIMITS = Limits(observe_seconds=8, login_seconds=5, answer_seconds=1, spacing_seconds=0.02)


@dataclass
class Node:
    """A simulated BMC and how many chassis commands it executed."""

    endpoint: BmcEndpoint
    sim: IpmiSim | None
    log: Path

    def executed(self) -> int:
        if self.sim is not None:
            return self.sim.chassis_commands()
        return self.log.read_text().count('"executed"')


@pytest.fixture
async def bmc() -> AsyncIterator[PyghmiBmc]:
    driver = PyghmiBmc(LIMITS)
    yield driver
    await driver.close()


@pytest.fixture(params=["ipmi_sim", "fleet"])
def node(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Node]:
    log = tmp_path / "log"
    if request.param == "ipmi_sim":
        with IpmiSim(tmp_path / "sim") as sim:
            yield Node(_endpoint(sim), sim, log)
        return
    port = free_udp_port()
    entry = {
        "hostname": "ns1.example.net",
        "address": "127.0.0.1",
        "port": port,
        "username": "admin",
        "password": "not-a-secret",
    }
    config = tmp_path / "fleet.json"
    config.write_text(json.dumps({"bmcs": [entry]}))
    command = [sys.executable, "-m", "lab.fleet", "--config", str(config), "--boot-seconds", "0.5"]
    process = Process("fleet", command, log, {"PYTHONPATH": str(ROOT)})
    eventually(lambda: "listen" in log.read_text())
    yield Node(BmcEndpoint("127.0.0.1", port, b"admin", b"not-a-secret"), None, log)
    process.stop()


@pytest.fixture
def sim(tmp_path: Path) -> Iterator[IpmiSim]:
    with IpmiSim(tmp_path / "sim") as running:
        yield running


def _endpoint(sim: IpmiSim, port: int = 0) -> BmcEndpoint:
    name, password = sim.username.encode(), sim.password.encode()
    return BmcEndpoint("127.0.0.1", port or sim.port, name, password)


@pytest.mark.parametrize("command", [ChassisCommand.HARD_RESET, ChassisCommand.POWER_CYCLE])
async def test_a_command_is_executed_once_and_the_restart_is_seen(
    bmc: PyghmiBmc, node: Node, command: ChassisCommand
) -> None:
    before = await bmc.observe(node.endpoint)
    assert before.power == PowerState.ON
    assert before.sel is not None
    assert await bmc.send_once(node.endpoint, command) == CommandOutcome.ACKNOWLEDGED
    seen = []
    deadline = time.monotonic() + 15
    while restart_proof(before, seen) is None:
        assert time.monotonic() < deadline
        seen.append(await bmc.observe(node.endpoint, before.sel))
    assert node.executed() == 1


async def test_nothing_is_seen_to_restart_when_nothing_was_told(bmc: PyghmiBmc, node: Node) -> None:
    before = await bmc.observe(node.endpoint)
    seen = [await bmc.observe(node.endpoint, before.sel) for _ in range(3)]
    assert restart_proof(before, seen) is None


async def test_a_machine_that_is_off_is_seen_off_and_on_again(bmc: PyghmiBmc, node: Node) -> None:
    for command, power in (
        (ChassisCommand.POWER_OFF, PowerState.OFF),
        (ChassisCommand.POWER_ON, PowerState.ON),
    ):
        await bmc.send_once(node.endpoint, command)
        assert (await bmc.observe(node.endpoint)).power == power


async def test_what_the_bmc_refuses_is_told_with_its_completion_code(
    bmc: PyghmiBmc, node: Node
) -> None:
    if node.sim is not None:
        return  # ipmi_sim does whatever it is told
    await bmc.send_once(node.endpoint, ChassisCommand.POWER_OFF)
    with pytest.raises(BmcRefused) as refused:
        await bmc.send_once(node.endpoint, ChassisCommand.HARD_RESET)
    assert refused.value.completion_code == 0xD5


@pytest.mark.parametrize(
    "wrong", [{"password": b"wrong"}, {"username": b"nobody"}], ids=["password", "username"]
)
async def test_a_wrong_login_is_told_from_a_dead_bmc(
    bmc: PyghmiBmc, sim: IpmiSim, wrong: dict[str, bytes]
) -> None:
    with pytest.raises(BmcAuthFailed):
        await bmc.observe(replace(_endpoint(sim), **wrong))


async def test_nobody_there_is_unreachable_within_the_deadline(bmc: PyghmiBmc) -> None:
    start = time.monotonic()
    with pytest.raises(BmcUnreachable):
        await bmc.observe(BmcEndpoint("127.0.0.1", free_udp_port(), b"admin", b"x"))
    assert time.monotonic() - start < LIMITS.observe_seconds + 2


async def test_a_bmc_that_goes_silent_within_the_login_is_given_up(
    bmc: PyghmiBmc, sim: IpmiSim
) -> None:
    with LossyProxy(sim.port) as proxy:
        # Payload type RAKP message 1, IPMI 2.0 table 13-16: the client waits for its answer.
        proxy.drop = lambda datagram, direction: (
            direction is Direction.REQUEST and datagram[5] & 0x3F == 0x12
        )
        with pytest.raises(BmcUnreachable):
            await bmc.observe(_endpoint(sim, proxy.port))
        proxy.drop = lambda *_: False
        assert (await bmc.observe(_endpoint(sim, proxy.port))).power == PowerState.ON


async def test_a_lost_reply_leaves_the_outcome_unknown_and_the_command_executed_once(
    bmc: PyghmiBmc, sim: IpmiSim
) -> None:
    with LossyProxy(sim.port) as proxy:
        proxy.drop = lambda _, direction: direction is Direction.REPLY and bool(sim.executed())
        endpoint = _endpoint(sim, proxy.port)
        outcome = await bmc.send_once(endpoint, ChassisCommand.HARD_RESET)
        assert outcome == CommandOutcome.UNKNOWN
        proxy.drop = lambda *_: False
        await bmc.observe(endpoint)
    assert sim.executed() == ["reset"]


async def test_a_lost_command_leaves_the_outcome_unknown_and_is_not_sent_again(
    bmc: PyghmiBmc, sim: IpmiSim
) -> None:
    with LossyProxy(sim.port) as proxy:
        endpoint = _endpoint(sim, proxy.port)
        await bmc.observe(endpoint)
        requests = []

        def lose_the_second(datagram: bytes, direction: Direction) -> bool:
            # After the look that precedes it, the next request is the command.
            if direction is Direction.REQUEST:
                requests.append(datagram)
            return len(requests) == 2 and direction is Direction.REQUEST

        proxy.drop = lose_the_second
        outcome = await bmc.send_once(endpoint, ChassisCommand.HARD_RESET)
        assert outcome == CommandOutcome.UNKNOWN
        assert (await bmc.observe(endpoint)).power == PowerState.ON
    assert sim.executed() == []


async def test_a_worker_that_is_killed_is_replaced(bmc: PyghmiBmc, sim: IpmiSim) -> None:
    endpoint = _endpoint(sim)
    await bmc.observe(endpoint)
    [owned] = bmc._owned.values()
    assert owned.worker._pool is not None
    for process in owned.worker._pool._pool:  # type: ignore[attr-defined]
        os.kill(process.pid, signal.SIGKILL)
    assert (await bmc.observe(endpoint)).power == PowerState.ON


async def test_a_bmc_that_rests_gives_its_place_to_the_next(tmp_path: Path) -> None:
    driver = PyghmiBmc(replace(LIMITS, workers=1))
    with IpmiSim(tmp_path / "a") as first, IpmiSim(tmp_path / "b") as second:
        start = time.monotonic()
        for sim in (first, second, first):
            assert (await driver.observe(_endpoint(sim))).power == PowerState.ON
        assert time.monotonic() - start < LIMITS.idle_seconds
        await driver.close()


async def test_the_password_is_in_no_text_of_an_endpoint() -> None:
    assert "secret" not in repr(BmcEndpoint("127.0.0.1", 623, b"admin", b"secret"))


