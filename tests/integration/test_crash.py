"""Promise 3: a process that dies leaves no operation behind and repeats no command."""

import os
import signal
import time

import pytest

from tests.integration.conftest import System

BMCS = 6


@pytest.fixture(scope="module")
def system(own_system: System) -> System:
    """Its own."""
    return own_system


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "stopped"])
@pytest.mark.parametrize("moment", [0.0, 0.4, 1.2])
def test_operations_survive_the_end_of_server_ops_at_any_moment(
    system: System, moment: float, number: int
) -> None:
    bmcs = [system.bmc(boot_seconds=1.0) for _ in range(BMCS)]
    servers = [system.server(bmc) for bmc in bmcs]
    key = system.key(*servers)
    names = []
    for server in servers:
        answer = system.rest("POST", f"/api/servers/{server}/reboot", key)
        names.append(answer.json()["name"])
    process = system.stack.processes["server_ops"]
    time.sleep(moment)  # the moment itself is what is tried, not a condition
    os.kill(process.pid, number)
    process.stop()
    system.stack.start_service("server_ops")
    operations = [system.finished(name, key, seconds=30) for name in names]
    for bmc, operation in zip(bmcs, operations, strict=True):
        assert bmc.chassis_commands() <= 1
        # Killed between the record and the datagram, it is not sent, and that is said.
        told = operation.get("error", {}).get("details", [{}])[0].get("reason", "SUCCEEDED")
        assert told in {"SUCCEEDED", "OUTCOME_UNKNOWN"}
        assert (told == "SUCCEEDED") == (bmc.chassis_commands() == 1)
    assert "Traceback" not in process.log.read_text()
