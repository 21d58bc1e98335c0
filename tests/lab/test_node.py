"""A machine in QEMU does what its BMC is told, as our driver tells it."""

import threading
from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from lab.node import Node
from services.server_ops.adapters.bmc.governor import BmcGovernor
from services.server_ops.bmc.boot import BootDevice, BootOverride
from services.server_ops.bmc.command import ChassisCommand, CommandOutcome
from services.server_ops.bmc.endpoint import BmcEndpoint
from services.server_ops.bmc.observation import PowerState
from tests.integration.bmc.rigs import endpoint
from tests.integration.conftest import eventually

SCRIPT = b"#!ipxe\necho booted by network\nsleep 600\n"
BOOT_SECONDS = 60.0
"""QEMU without hardware's help, on a busy machine."""


class Boots:
    """A boot server, and the paths that machines asked it for."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        asked = self.asked

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked.append(self.path)
                self.send_response(200)
                self.send_header("Content-Length", str(len(SCRIPT)))
                self.end_headers()
                self.wfile.write(SCRIPT)

            def log_message(self, *_arguments: object) -> None:
                """Nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def boots() -> Iterator[Boots]:
    made = Boots()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def node(boots: Boots, tmp_path: Path) -> Iterator[Node]:
    with Node(
        tmp_path / "node",
        bootfile=f"http://10.0.2.2:{boots.server.server_port}/boot.ipxe",
        mac="0c:c4:7a:00:00:01",
        uuid="11111111-2222-3333-4444-555555555555",
    ) as made:
        yield made


@pytest.fixture
async def driver() -> AsyncIterator[BmcGovernor]:
    made = BmcGovernor()
    yield made
    await made.close()


async def switched(driver: BmcGovernor, where: BmcEndpoint, command: ChassisCommand) -> None:
    assert await driver.send_once(where, command) is CommandOutcome.ACKNOWLEDGED


async def test_it_boots_once_by_network_when_it_is_told_to(
    driver: BmcGovernor, node: Node, boots: Boots
) -> None:
    where = endpoint(node.bmc)
    assert await driver.power(where) is PowerState.OFF
    assert node.pid() is None
    await driver.set_boot(where, BootOverride(BootDevice.NETWORK))
    await switched(driver, where, ChassisCommand.POWER_ON)
    assert node.pid()
    eventually(lambda: boots.asked == ["/boot.ipxe"], BOOT_SECONDS)
    first = node.pid()
    await switched(driver, where, ChassisCommand.HARD_RESET)
    assert node.pid() not in {first, None}
    await switched(driver, where, ChassisCommand.POWER_OFF)
    assert node.pid() is None
    assert await driver.power(where) is PowerState.OFF
