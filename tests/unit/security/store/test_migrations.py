"""The migrations make what the models say."""

from services.runtime.database import Database
from services.security.store import tables
from tests.unit.migrated import differences, metadata


async def test_the_migrations_make_the_tables_of_the_models(database: Database) -> None:
    assert len(metadata(tables).tables) == 5
    assert await differences(database, tables) == []
