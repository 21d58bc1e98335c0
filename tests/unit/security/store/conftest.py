"""security's stores on a migrated database, once on each kind."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from services.runtime.database import Database, migrate
from services.security.__main__ import MIGRATIONS


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    await asyncio.to_thread(migrate, database_url, MIGRATIONS)
    database = Database(database_url)
    yield database
    await database.close()
