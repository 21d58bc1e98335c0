"""Rates from counters."""

import pytest

from services.server_ops.monitoring.traffic import Counters, MeasureTraffic, SwitchError
from services.server_ops.monitoring.uplink import SnmpLogin, Uplink

PORT = Uplink("192.0.2.1", 161, 7, SnmpLogin("c"))


class Switch:
    """Implements Switches and Uplinks."""

    def __init__(self) -> None:
        self.uplink: Uplink | None = PORT
        self.counted: Counters | None = Counters(0, 0)
        self.now = 0.0

    async def counters(self, _uplink: Uplink) -> Counters:
        if self.counted is None:
            raise SwitchError
        return self.counted

    async def find(self, _hostname: str) -> Uplink | None:
        return self.uplink

    async def put(self, hostname: str, uplink: Uplink) -> None: ...

    async def delete(self, hostname: str) -> bool:
        raise NotImplementedError


@pytest.fixture
def switch() -> Switch:
    return Switch()


@pytest.fixture
def measure(switch: Switch) -> MeasureTraffic:
    return MeasureTraffic(switch, switch, lambda: switch.now)


async def test_traffic_is_named_from_the_servers_side(
    switch: Switch, measure: MeasureTraffic
) -> None:
    assert await measure("ns1") == {}
    switch.now, switch.counted = 60, Counters(received=6000, sent=600)
    assert await measure("ns1") == {"traffic/in": 80.0, "traffic/out": 800.0}


@pytest.mark.parametrize(
    ("now", "counted"),
    [(60, Counters(5, 2000)), (60, Counters(2000, 5)), (601, Counters(2000, 2000)), (60, None)],
    ids=["received anew", "sent anew", "too long ago", "silent"],
)
async def test_what_is_not_known_is_a_gap_and_no_zero(
    switch: Switch, measure: MeasureTraffic, now: float, counted: Counters | None
) -> None:
    switch.counted = Counters(1000, 1000)
    await measure("ns1")
    switch.now, switch.counted = now, counted
    assert await measure("ns1") == {}


async def test_another_port_begins_anew(switch: Switch, measure: MeasureTraffic) -> None:
    await measure("ns1")
    switch.now, switch.counted = 60, Counters(10**9, 10**9)
    switch.uplink = Uplink("192.0.2.1", 161, 8, SnmpLogin("c"))
    assert await measure("ns1") == {}
    switch.uplink = None
    assert await measure("ns1") == {}
