"""The machine's clock jumps, as when it is set, while operations are under way."""

import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from lab.ipmi_sim import IpmiSim
from tests.integration.conftest import System, running

HOUR = 3600

LONGEST = 60
"""What a reboot may take on a busy machine, in seconds: nothing beside a jump."""


class Clock:
    """The clock of all services."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.set(0)

    def set(self, seconds: int) -> None:
        """How far it is ahead from now on."""
        new = self.file.with_suffix(".new")
        new.write_text(f"{seconds:+d}\n")
        new.replace(self.file)


@pytest.fixture(scope="module")
def clock(tmp_path_factory: pytest.TempPathFactory) -> Clock:
    return Clock(tmp_path_factory.mktemp("clock") / "offset")


@pytest.fixture(scope="module")
def system(clock: Clock, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    # Debian's libfaketime shows a process another time.
    [library] = Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")
    settings = {
        "LD_PRELOAD": str(library),
        "FAKETIME_TIMESTAMP_FILE": str(clock.file),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    with running(tmp_path_factory.mktemp("clocks"), settings) as made:
        yield made


@pytest.mark.parametrize("jump", [HOUR, -HOUR, 24 * HOUR], ids=lambda jump: f"{jump:+d}s")
def test_a_reboot_that_a_jump_of_the_clock_meets_ends_as_it_would(
    system: System, clock: Clock, jump: int
) -> None:
    clock.set(0)
    bmc = system.bmc(boot_seconds=2.0)
    server = system.server(bmc)
    key = system.key(server)
    begin = time.monotonic()
    name = system.rest("POST", f"/api/servers/{server}/reboot", key).json()["name"]
    clock.set(jump)
    operation = system.finished(name, key, LONGEST)
    assert "error" not in operation, operation
    assert time.monotonic() - begin < LONGEST
    assert bmc.chassis_commands() == 1
    begun, ended = (
        datetime.fromisoformat(operation["metadata"][each]) for each in ("create_time", "end_time")
    )
    assert abs((ended - begun).total_seconds() - jump) < LONGEST, "the clock did jump"


def test_a_bmc_is_read_on_after_a_jump(system: System, clock: Clock, bmc: IpmiSim) -> None:
    clock.set(0)
    server = system.server(bmc)
    key = system.key(server, capabilities=["ipmi.status"])
    for jump in (HOUR, 0, -HOUR):
        clock.set(jump)
        path = f"/api/servers/{server}/ipmi?max_age_seconds=0"
        told = system.rest("GET", path, key)
        assert told.status_code == 200, told.text
        assert told.json()["reachability"] == "CONTACTABLE"
        assert told.json()["age_seconds"] <= 1
