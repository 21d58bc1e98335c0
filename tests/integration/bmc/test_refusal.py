"""What a BMC refuses: on the simulated fleet's BMC, for ipmi_sim does whatever it is told."""

import json
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.ports import free_port
from lab.process import Process
from lab.stack import ROOT
from services.server_ops.adapters.bmc.governor import BmcGovernor
from services.server_ops.bmc.command import ChassisCommand
from services.server_ops.bmc.endpoint import BmcEndpoint
from services.server_ops.bmc.errors import BmcRefused
from services.server_ops.bmc.observation import PowerState
from tests.integration.bmc.rigs import LIMITS
from tests.integration.conftest import eventually

WRONG_STATE = 0xD5
"""Command not supported in present state, IPMI 2.0 table 5-2."""


@pytest.fixture
def endpoint(tmp_path: Path) -> Iterator[BmcEndpoint]:
    port = free_port(socket.SOCK_DGRAM)
    entry = {"hostname": "ns1.example.net", "address": "127.0.0.1", "port": port}
    entry |= {"mac": "0c:c4:7a:00:00:01", "username": "admin", "password": "not-a-secret"}
    config = tmp_path / "fleet.json"
    config.write_text(json.dumps({"url": "http://127.0.0.1:1", "bmcs": [entry]}))
    command = [sys.executable, "-m", "lab.fleet", "--config", str(config), "--boot-seconds", "0.5"]
    log = tmp_path / "log"
    process = Process("fleet", command, log, {"PYTHONPATH": str(ROOT)})
    eventually(lambda: "listen" in log.read_text())
    yield BmcEndpoint("127.0.0.1", port, b"admin", b"not-a-secret")
    process.stop()


async def test_a_refusal_names_its_completion_code_and_the_session_lives_on(
    endpoint: BmcEndpoint,
) -> None:
    driver = BmcGovernor(LIMITS)
    try:
        await driver.send_once(endpoint, ChassisCommand.POWER_OFF)
        pids = driver.worker_pids()
        with pytest.raises(BmcRefused) as refused:
            await driver.send_once(endpoint, ChassisCommand.HARD_RESET)
        assert refused.value.completion_code == WRONG_STATE
        assert (await driver.observe(endpoint)).power is PowerState.OFF
        assert driver.worker_pids() == pids
    finally:
        await driver.close()
