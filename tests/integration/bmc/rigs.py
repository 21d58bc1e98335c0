"""A machine behind a BMC driver, real or in memory, with the same knobs for the contract."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from typing import Protocol as TypingProtocol

from lab.ipmi_sim import IpmiSim
from lab.lossy import Direction, LossyProxy
from lab.redfish_sim import RedfishSim
from services.server_ops.adapters.bmc.governor import BmcGovernor
from services.server_ops.adapters.bmc.limits import Limits
from services.server_ops.bmc.driver import Bmc
from services.server_ops.bmc.endpoint import BmcEndpoint, Protocol
from tests.integration.bmc.tap import Tap
from tests.unit.server_ops.bmc.fake_bmc import FakeBmc, FakeMachine, Trouble

LIMITS = Limits(
    observe_seconds=2.5,
    login_seconds=2.5,
    answer_seconds=0.5,
    spacing_seconds=0.02,
    idle_seconds=20,
)


class Rig(TypingProtocol):
    """A driver and one machine."""

    bmc: Bmc
    endpoint: BmcEndpoint

    def executed(self) -> int: ...
    def boot(self) -> str: ...
    def be_silent(self) -> None: ...
    def be_well(self) -> None: ...
    def lose_the_command(self) -> None: ...
    def lose_the_reply(self) -> None: ...


class FakeRig:
    def __init__(self) -> None:
        self.endpoint = BmcEndpoint("192.0.2.1", 623, b"admin", b"not-a-secret")
        self._machine = FakeMachine(self.endpoint)
        self.bmc: Bmc = FakeBmc(self._machine)

    def executed(self) -> int:
        return len(self._machine.executed)

    def boot(self) -> str:
        return self._machine.boot

    def be_silent(self) -> None:
        self._machine.trouble = Trouble.SILENT

    def be_well(self) -> None:
        self._machine.trouble = Trouble.NONE

    def lose_the_command(self) -> None:
        self._machine.trouble = Trouble.LOSES_REQUEST

    def lose_the_reply(self) -> None:
        self._machine.trouble = Trouble.LOSES_REPLY


class IpmiRig:
    """ipmi_sim behind a proxy that reads what passes."""

    def __init__(self, sim: IpmiSim, proxy: LossyProxy, limits: Limits, seed: int) -> None:
        self.sim = sim
        self.proxy = proxy
        self.endpoint = endpoint(sim, proxy.port)
        self.tap = Tap(self.endpoint.password, seed)
        self.driver = BmcGovernor(limits)
        self.bmc: Bmc = self.driver
        proxy.drop = self.tap

    def executed(self) -> int:
        return self.sim.chassis_commands()

    def boot(self) -> str:
        return self.sim.boot()

    def be_silent(self) -> None:
        self.proxy.drop = lambda *_: True

    def be_well(self) -> None:
        self.tap.lose = lambda _: False
        self.proxy.drop = self.tap

    def lose_the_command(self) -> None:
        self.tap.lose = lambda m: m.is_command and m.direction is Direction.REQUEST

    def lose_the_reply(self) -> None:
        self.tap.lose = lambda m: m.is_command and m.direction is Direction.REPLY


class RedfishRig:
    """sushy-tools' emulator."""

    def __init__(self, sim: RedfishSim, limits: Limits) -> None:
        self.sim = sim
        name, password = sim.username.encode(), sim.password.encode()
        self.endpoint = BmcEndpoint(sim.address, sim.port, name, password, Protocol.REDFISH)
        self.driver = BmcGovernor(limits, trust=str(sim.trust))
        self.bmc: Bmc = self.driver

    def executed(self) -> int:
        return self.sim.executed

    def boot(self) -> str:
        return self.sim.boot()

    def be_silent(self) -> None:
        self.sim.well.clear()

    def be_well(self) -> None:
        self.sim.well.set()
        self.sim.lose_command = self.sim.lose_reply = False

    def lose_the_command(self) -> None:
        self.sim.lose_command = True

    def lose_the_reply(self) -> None:
        self.sim.lose_reply = True


@asynccontextmanager
async def redfish_rig(folder: Path, **limits: Any) -> AsyncIterator[RedfishRig]:
    """One that is torn down with its worker logged out."""
    with RedfishSim(folder) as sim:
        rig = RedfishRig(sim, replace(LIMITS, **limits))
        try:
            yield rig
        finally:
            sim.well.set()
            await rig.driver.close()


def endpoint(sim: IpmiSim, port: int = 0) -> BmcEndpoint:
    """The login of a simulator, or of a proxy before it."""
    name, password = sim.username.encode(), sim.password.encode()
    return BmcEndpoint("127.0.0.1", port or sim.port, name, password)


@asynccontextmanager
async def ipmi_rig(folder: Path, *, seed: int = 0, **limits: Any) -> AsyncIterator[IpmiRig]:
    """One that is torn down with its worker logged out."""
    with IpmiSim(folder, boot_seconds=0.1) as sim, LossyProxy(sim.port) as proxy:
        rig = IpmiRig(sim, proxy, replace(LIMITS, **limits), seed)
        try:
            yield rig
        finally:
            await rig.bmc.close()
