"""The receiver of docs/webhooks.md, run as a reader runs it."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lab.ports import free_port
from lab.stack import ROOT
from services.server_ops.webhooks.signing import headers, new_secret
from tests.integration.conftest import eventually
from tests.integration.webhooks.test_delivering import soon
from tests.integration.webhooks.test_sender import sender
from tests.unit.server_ops.webhooks.samples import SECRET, event

DOCS = (ROOT / "docs" / "webhooks.md").read_text()
[PROGRAM] = re.findall(r"^```python\n(.*?)^```$", DOCS, re.MULTILINE | re.DOTALL)


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "output"


@pytest.fixture
def port(output: Path) -> Iterator[int]:
    """Where the receiver listens."""
    port = free_port()
    environment = {**os.environ, "WEBHOOK_SECRET": SECRET, "PORT": str(port)}
    with output.open("w") as file:
        receiver = subprocess.Popen(
            [sys.executable, "-c", PROGRAM], env=environment, stdout=file, stderr=file
        )
    yield port
    receiver.kill()
    receiver.wait(10)


async def test_the_receiver_takes_what_is_signed_and_refuses_the_rest(
    output: Path, port: int
) -> None:
    told, url = event(), f"http://127.0.0.1:{port}/"

    async def post(secret: str) -> int:
        signed = headers(told.id, told.body(), [secret], datetime.now(UTC))
        return (await sender()(url, signed, told.body(), 5)).status

    async def taken() -> bool:
        return await post(SECRET) == 204

    await soon(taken)  # it listens
    assert await post(new_secret()) == 400
    eventually(lambda: f"{told.id} operation.succeeded" in output.read_text())
