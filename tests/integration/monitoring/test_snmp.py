"""Switches by SNMP: Net-SNMP's agent stands for one."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from lab.ports import HOST
from lab.snmpd import LOOPBACK, USER, Snmpd
from services.server_ops.adapters.snmp import SnmpSwitches
from services.server_ops.monitoring.traffic import Counters, SwitchError
from services.server_ops.monitoring.uplink import SnmpLogin, Uplink


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Snmpd]:
    with Snmpd(tmp_path_factory.mktemp("snmp") / "agent") as started:
        yield started


@pytest.fixture
async def switches() -> AsyncIterator[SnmpSwitches]:
    made = SnmpSwitches()
    yield made
    made.close()


def port(agent: Snmpd, **login: str) -> Uplink:
    given = SnmpLogin(**login) if login else SnmpLogin(agent.community)
    return Uplink(HOST, agent.port, LOOPBACK, given)


async def answered(switches: SnmpSwitches, uplink: Uplink, seconds: float = 15) -> Counters:
    """The counters, as soon as the agent, which has just started, answers."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return await switches.counters(uplink)
        except SwitchError:
            assert time.monotonic() < deadline


@pytest.mark.parametrize("version", ["2c", "3"])
async def test_the_counters_are_those_of_the_kernel(
    agent: Snmpd, switches: SnmpSwitches, version: str
) -> None:
    def counted() -> tuple[int, int]:
        statistics = Path("/sys/class/net/lo/statistics")
        received, sent = (int((statistics / name).read_text()) for name in ("rx_bytes", "tx_bytes"))
        return received, sent

    passphrases = {
        "user": USER,
        "auth_passphrase": agent.auth_passphrase,
        "privacy_passphrase": agent.privacy_passphrase,
    }
    uplink = port(agent, **passphrases) if version == "3" else port(agent)
    await answered(switches, uplink)
    before = counted()
    # The agent looks at the kernel every few seconds, and answers from that in between.
    deadline = time.monotonic() + 30
    while (seen := await switches.counters(uplink)).received < before[0]:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.2)
    after = counted()
    assert before[0] <= seen.received <= after[0]
    assert before[1] <= seen.sent <= after[1]


async def test_a_switch_that_does_not_say_is_an_error(agent: Snmpd, switches: SnmpSwitches) -> None:
    right = port(agent)
    await answered(switches, right)
    wrong_user = port(
        agent, user=USER, auth_passphrase="x" * 16, privacy_passphrase=agent.privacy_passphrase
    )
    for uplink in (
        replace(right, interface=99_999),
        replace(right, login=SnmpLogin("wrong")),
        wrong_user,
        replace(right, switch_port=1),
    ):
        with pytest.raises(SwitchError):
            await switches.counters(uplink)


async def test_many_are_read_at_once(agent: Snmpd, switches: SnmpSwitches) -> None:
    await answered(switches, port(agent))
    read = await asyncio.gather(*(switches.counters(port(agent)) for _ in range(50)))
    assert len(read) == 50


def test_a_login_is_in_no_text_of_an_uplink(agent: Snmpd) -> None:
    assert agent.community not in repr(port(agent))
