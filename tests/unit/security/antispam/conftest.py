"""Blocks are kept in a real database: SQLite, in a file of each test's own."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.runtime import background
from services.runtime.database import Database, migrate
from services.security.__main__ import MIGRATIONS
from services.security.antispam.gates import MailGates
from services.security.store.blocks import SqlBlocks
from tests.unit.security.fakes import (
    NS1,
    NS2,
    FakeClock,
    FakeGate,
    FakeGateways,
    FakeInventory,
    Told,
    gateway,
)
from tests.unit.serving import PATIENCE_SECONDS


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    url = f"sqlite:///{tmp_path / 'test.db'}"
    await asyncio.to_thread(migrate, url, MIGRATIONS)
    database = Database(url)
    yield database
    await database.close()


@pytest.fixture
def blocks(database: Database) -> SqlBlocks:
    return SqlBlocks(database)


@pytest.fixture
def gateways() -> FakeGateways:
    return FakeGateways(
        gateway("gw1", mail_gate=True), gateway("gw2", mail_gate=True), gateway("gw3")
    )


@pytest.fixture
def gate() -> FakeGate:
    return FakeGate()


@pytest.fixture
def gates(gateways: FakeGateways, blocks: SqlBlocks, gate: FakeGate) -> MailGates:
    return MailGates(gateways, blocks, gate)


@pytest.fixture
def inventory() -> FakeInventory:
    return FakeInventory(NS1, NS2)


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture(autouse=True)
def _whole_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """A round ends when all that it began has ended, however busy this machine is."""
    monkeypatch.setattr(background, "ROUND_SECONDS", PATIENCE_SECONDS)
