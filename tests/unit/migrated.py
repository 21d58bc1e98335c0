"""Whether migrations make what the models of a service say."""

from types import ModuleType
from typing import Any

from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, MetaData

from services.runtime.database import Database


def metadata(tables: ModuleType) -> MetaData:
    """The tables of this module alone, whatever else is imported in this process."""
    made = MetaData()
    for each in vars(tables).values():
        if isinstance(each, type) and each.__module__ == tables.__name__:
            each.__dict__["__table__"].to_metadata(made)
    return made


async def differences(database: Database, tables: ModuleType) -> Any:
    """What Alembic would change for the database to be as the models say."""

    def compared(connection: Connection) -> Any:
        return compare_metadata(MigrationContext.configure(connection), metadata(tables))

    async with database._engine.connect() as connection:
        return await connection.run_sync(compared)
