"""The serial console of a real BMC: ipmi_sim's Serial over LAN, with a serial line behind it."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from lab.ipmi_sim import IpmiSim
from lab.lossy import LossyProxy
from lab.serial_line import SerialLine
from services.server_ops.adapters.bmc.governor import BmcGovernor
from services.server_ops.bmc.console import Console
from services.server_ops.bmc.endpoint import BmcEndpoint
from services.server_ops.bmc.errors import BmcUnreachable, BmcUnsupported, ConsoleTaken
from services.server_ops.bmc.identity import Feature
from services.server_ops.bmc.observation import PowerState
from tests.integration.bmc.rigs import LIMITS, endpoint

PATIENCE = 30.0

BUFFERED = 6_000_000
"""More than the sockets before the BMC hold."""


@dataclass
class Rig:
    line: SerialLine
    sim: IpmiSim
    proxy: LossyProxy
    endpoint: BmcEndpoint
    driver: BmcGovernor

    def is_attached(self) -> bool:
        """As the BMC says it: Get Payload Activation Status, section 24.4."""
        return self.sim.ask("raw", "6", "0x4a", "1").stdout.split()[1] == "01"


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[tuple[SerialLine, IpmiSim, LossyProxy]]:
    with (
        SerialLine() as line,
        IpmiSim(tmp_path / "sim", serial_port=line.port) as sim,
        LossyProxy(sim.port, seed=1) as proxy,
    ):
        yield line, sim, proxy


@pytest.fixture
async def rig(machine: tuple[SerialLine, IpmiSim, LossyProxy]) -> AsyncIterator[Rig]:
    line, sim, proxy = machine
    driver = BmcGovernor(LIMITS)
    yield Rig(line, sim, proxy, endpoint(sim, proxy.port), driver)
    await driver.close()


async def read(console: Console, length: int) -> bytes:
    """So much of what the machine wrote, with "<lost>" where something was."""
    data = b""
    async with asyncio.timeout(PATIENCE):
        while len(data) < length:
            output = await console.next()
            assert output is not None
            data += (b"<lost>" if output.lost else b"") + output.data
    return data


def write_meanwhile(line: SerialLine, data: bytes) -> None:
    def write() -> None:
        with suppress(OSError):
            line.write(data)

    threading.Thread(target=write, daemon=True).start()


async def test_what_the_machine_writes_is_read_and_what_is_typed_arrives(rig: Rig) -> None:
    async with rig.driver.console(rig.endpoint) as console:
        rig.line.write(b"login: ")
        assert await read(console, 7) == b"login: "
        await console.write(b"root\r")
        assert await asyncio.to_thread(rig.line.typed, 5) == b"root\r"
        assert rig.is_attached()
    async with rig.driver.console(rig.endpoint) as console:
        rig.line.write(b"again")
        assert await read(console, 5) == b"again"
    await rig.driver.close()
    assert not rig.is_attached()


async def test_the_bmc_is_seen_to_have_a_console(rig: Rig) -> None:
    assert Feature.SERIAL_CONSOLE in (await rig.driver.identify(rig.endpoint)).features


async def test_other_calls_go_on_meanwhile(rig: Rig) -> None:
    async with rig.driver.console(rig.endpoint) as console:
        assert await rig.driver.power(rig.endpoint) is PowerState.ON
        reading = asyncio.create_task(rig.driver.sensors(rig.endpoint))
        await asyncio.sleep(0)
        reading.cancel()
        await asyncio.wait([reading])
        with pytest.raises(ConsoleTaken):
            await rig.driver.test(rig.endpoint)
        rig.line.write(b"still here")
        assert await read(console, 10) == b"still here"


async def test_a_second_reader_is_refused_or_takes_over(rig: Rig) -> None:
    async with rig.driver.console(rig.endpoint) as first:
        with pytest.raises(ConsoleTaken):
            async with rig.driver.console(rig.endpoint):
                pass
        waiting = asyncio.create_task(first.next())
        async with rig.driver.console(rig.endpoint, take_over=True) as second:
            with pytest.raises(ConsoleTaken):
                await waiting
            rig.line.write(b"for the second")
            assert await read(second, 14) == b"for the second"


async def test_another_session_of_the_bmc_is_a_reader_too(rig: Rig) -> None:
    other = BmcGovernor(LIMITS)
    try:
        async with rig.driver.console(rig.endpoint) as first:
            with pytest.raises(ConsoleTaken):
                async with other.console(rig.endpoint):
                    pass
            async with other.console(rig.endpoint, take_over=True) as second:
                rig.line.write(b"for the second")
                assert await read(second, 14) == b"for the second"
                async with asyncio.timeout(PATIENCE):
                    with pytest.raises(ConsoleTaken):
                        await first.next()
    finally:
        await other.close()


async def test_a_flood_arrives_whole(rig: Rig) -> None:
    flood = b"".join(b"%08d\n" % number for number in range(20_000))
    async with rig.driver.console(rig.endpoint) as console:
        write_meanwhile(rig.line, flood)
        assert await read(console, len(flood)) == flood


async def test_a_slow_reader_is_told_that_it_missed_something(rig: Rig) -> None:
    """What is not read does not pile up: it is lost, and that is said."""
    flood = b"".join(b"%08d\n" % number for number in range(1_000_000))
    async with rig.driver.console(rig.endpoint) as console:
        write_meanwhile(rig.line, flood)
        async with asyncio.timeout(PATIENCE):
            while rig.line.written < BUFFERED:  # noqa: ASYNC110 - a thread writes
                await asyncio.sleep(0.1)
            data = b""
            while (output := await console.next()) and not output.lost:
                data += output.data
        assert data == flood[: len(data)]
        assert len(data) < BUFFERED


async def test_nothing_is_lost_in_a_network_that_loses(rig: Rig) -> None:
    async with rig.driver.console(rig.endpoint) as console:
        rig.proxy.loss = 0.2
        for number in range(20):
            line = b"line %02d\r\n" % number
            rig.line.write(line)
            assert await read(console, len(line)) == line
            await console.write(b"%02d" % number)
        typed = b"".join(b"%02d" % number for number in range(20))
        assert await asyncio.to_thread(rig.line.typed, len(typed), PATIENCE) == typed
        rig.proxy.loss = 0


async def test_a_bmc_that_is_gone_ends_it(rig: Rig) -> None:
    async with rig.driver.console(rig.endpoint) as console:
        rig.proxy.drop = lambda *_: True
        async with asyncio.timeout(PATIENCE):
            with pytest.raises(BmcUnreachable):
                await console.next()


async def test_what_cannot_be_typed_ends_it(rig: Rig) -> None:
    async with rig.driver.console(rig.endpoint) as console:
        rig.proxy.drop = lambda *_: True
        await console.write(b"x")
        async with asyncio.timeout(PATIENCE):
            with pytest.raises(BmcUnreachable):
                await console.next()


async def test_a_machine_without_a_serial_line_has_no_console(tmp_path: Path) -> None:
    driver = BmcGovernor(LIMITS)
    with IpmiSim(tmp_path / "sim") as sim:
        assert Feature.SERIAL_CONSOLE not in (await driver.identify(endpoint(sim))).features
        with pytest.raises(BmcUnsupported):
            async with driver.console(endpoint(sim)):
                pass
        await driver.close()
