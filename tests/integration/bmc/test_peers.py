"""What the driver reads of a BMC, beside what Debian's ipmitool reads of the same."""

from pathlib import Path

import pytest

from lab.ipmi_sim import IpmiSim
from services.server_ops.adapters.bmc.governor import BmcGovernor
from services.server_ops.bmc.command import ChassisCommand
from tests.integration.bmc.rigs import LIMITS, endpoint

_UNITS = {"degrees C": "°C", "RPM": "RPM", "Volts": "V"}


@pytest.fixture
def sim(tmp_path: Path) -> IpmiSim:
    return IpmiSim(tmp_path / "sim", boot_seconds=0.1)


def fields(line: str) -> list[str]:
    return [each.strip() for each in line.split("|")]


async def test_sensors_have_the_names_values_and_units_that_ipmitool_shows(sim: IpmiSim) -> None:
    driver = BmcGovernor(LIMITS)
    with sim:
        ours = {(s.name, s.value, s.unit) for s in await driver.sensors(endpoint(sim))}
        shown = [fields(line) for line in sim.ask("sensor").stdout.splitlines()]
    await driver.close()
    assert len(shown) == 4
    assert ours == {(name, float(value), _UNITS[unit]) for name, value, unit, *_ in shown}


async def test_the_identity_is_what_ipmitool_shows(sim: IpmiSim) -> None:
    driver = BmcGovernor(LIMITS)
    with sim:
        identity = await driver.identify(endpoint(sim))
        told = sim.ask("mc", "info").stdout.splitlines()
        guid = sim.ask("mc", "guid", "rfc4122").stdout + sim.ask("mc", "guid").stdout
    await driver.close()
    shown = {
        name.strip(): value.strip() for name, _, value in (line.partition(":") for line in told)
    }
    assert identity.firmware == shown["Firmware Revision"]
    assert identity.version == shown["IPMI Version"]
    assert identity.manufacturer == shown["Manufacturer ID"]
    assert identity.product == shown["Product ID"].split()[0]
    assert identity.guid
    assert identity.guid.replace("-", "") in guid.replace("-", "").lower()


async def test_events_are_those_that_ipmitool_lists(sim: IpmiSim) -> None:
    driver = BmcGovernor(LIMITS)
    with sim:
        where = endpoint(sim)
        for _ in range(2):
            before = (await driver.events(where, None, 100)).total
            await driver.send_once(where, ChassisCommand.HARD_RESET)
            while (page := await driver.events(where, None, 100)).total == before:
                pass
        shown = [fields(line) for line in sim.ask("sel", "list").stdout.splitlines()]
    await driver.close()
    assert [each.record for each in page.events] == [int(line[0], 16) for line in shown]
    # "System Boot Initiated #0x01 | Initiated by warm reset"
    for event, line in zip(page.events, shown, strict=True):
        kind, text = line[-3].split(" #")[0], line[-2]
        assert event.type.lower().startswith(kind.lower()[:11])
        assert event.text.lower() in text.lower() or text.lower() in event.text.lower()
