"""The migrations make what the models say."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from services.auth.store import MIGRATIONS, tables
from services.runtime.database import Database, migrate
from tests.unit.migrated import differences, metadata


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    made = Database(database_url)
    yield made
    await made.close()


async def test_the_migrations_make_the_tables_of_the_models(
    database: Database, database_url: str
) -> None:
    await asyncio.to_thread(migrate, database_url, MIGRATIONS)
    assert len(metadata(tables).tables) == 11
    assert await differences(database, tables) == []
