"""The whole system before machines in QEMU, which really boot."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.live.build import build
from lab.live.register import register
from lab.node import HOST_SEEN
from tests.integration.conftest import System, running

SETTINGS = {
    # Without hardware's help, and on a machine that is busy with other tests.
    "F2H_SERVER_OPS_RESTART_SECONDS": "60",
    "F2H_SERVER_OPS_RESCUE_SECONDS": "100",
    "F2H_SERVER_OPS_HEARTBEAT_SECONDS": "2",
}


@pytest.fixture(scope="session")
def live(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the lab's systems."""
    folder = tmp_path_factory.mktemp("live")
    build(folder)
    return folder


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory, live: Path) -> Iterator[System]:
    folder = tmp_path_factory.mktemp("machines")
    with running(folder, SETTINGS, machines_see=HOST_SEEN) as made:
        register(made.stack, live)
        yield made
