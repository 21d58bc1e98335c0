import asyncio
from collections.abc import AsyncIterator

import pytest

from services.auth.store import MIGRATIONS
from services.runtime.database import migrate
from tests.unit.auth.sign_in.people import People, people_on


@pytest.fixture
async def people(database_url: str) -> AsyncIterator[People]:
    await asyncio.to_thread(migrate, database_url, MIGRATIONS)
    async with people_on(database_url) as found:
        yield found
