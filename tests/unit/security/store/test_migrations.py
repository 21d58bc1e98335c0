"""The migrations make what the models say."""

from typing import Any

from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, MetaData

from services.runtime.database import Database
from services.security.store import tables


def _metadata() -> MetaData:
    """The tables of security alone, whatever else is imported in this process."""
    metadata = MetaData()
    for each in vars(tables).values():
        if isinstance(each, type) and each.__module__ == tables.__name__:
            each.__dict__["__table__"].to_metadata(metadata)
    return metadata


async def test_the_migrations_make_the_tables_of_the_models(database: Database) -> None:
    def differences(connection: Connection) -> Any:
        return compare_metadata(MigrationContext.configure(connection), _metadata())

    async with database._engine.connect() as connection:
        assert await connection.run_sync(differences) == []
    assert len(_metadata().tables) == 5
