"""A service's own database: SQLite by default, PostgreSQL by URL, the same code on both."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import alembic.command
import alembic.config
import alembic.context
from sqlalchemy import (
    Connection,
    Executable,
    MetaData,
    NullPool,
    QueuePool,
    Row,
    create_engine,
    event,
    make_url,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlmodel import SQLModel

_DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+psycopg"}

_SQLITE_PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    # A record that says "about to send" must survive a power cut, so every commit reaches the disk.
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA busy_timeout = 5000",  # milliseconds
)

_WRITES = "f2h_writes"


class Database:
    """Sessions on one database."""

    def __init__(self, url: str) -> None:
        """`url` is "sqlite:///FILE" or "postgresql://USER@HOST/NAME"."""
        self._engine = _engine(_async_url(url))
        self._reader = self._engine.execution_options(isolation_level="AUTOCOMMIT")
        self._writer = self._engine.execution_options(**{_WRITES: True})
        self._local = _LocalReader(url) if url.startswith("sqlite") else None

    async def fetch(
        self, query: Executable, parameters: Mapping[str, Any] | None = None
    ) -> Sequence[Row[*tuple[Any, ...]]]:
        """The rows of one reading statement, outside of any transaction."""
        if self._local is not None:
            return self._local.fetch(query, parameters)
        return await self.scan(query, parameters)

    async def scan(
        self, query: Executable, parameters: Mapping[str, Any] | None = None
    ) -> Sequence[Row[*tuple[Any, ...]]]:
        """As `fetch`, for a statement that may read long: nobody else waits meanwhile."""
        async with self._reader.connect() as connection:
            return (await connection.execute(query, parameters)).all()

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncSession]:
        """A session in one transaction, committed at the end and rolled back on an exception."""
        async with AsyncSession(self._writer, expire_on_commit=False) as session, session.begin():
            yield session

    def in_use(self) -> int:
        """How many connections somebody has at this moment."""
        pool = self._engine.pool
        return pool.checkedout() if isinstance(pool, QueuePool) else 0

    async def close(self) -> None:
        """Closes every connection."""
        if self._local is not None:
            self._local.close()
        await self._engine.dispose()


class _LocalReader:
    """Reads SQLite in the thread that asks.

    A row by its key is there within microseconds, and in WAL mode a reader waits for nobody; a way
    through another thread and back, for each of a query's steps, takes a hundred times as long.
    """

    def __init__(self, url: str) -> None:
        self._engine = create_engine(url, poolclass=NullPool, hide_parameters=True)
        event.listen(self._engine, "connect", _set_pragmas)
        self._connection: Connection | None = None

    def fetch(
        self, query: Executable, parameters: Mapping[str, Any] | None
    ) -> Sequence[Row[*tuple[Any, ...]]]:
        if self._connection is None:
            connection = self._engine.connect()
            self._connection = connection.execution_options(isolation_level="AUTOCOMMIT")
            # The few waits that WAL leaves, for a checkpoint at its end, must not hold everybody.
            self._connection.exec_driver_sql("PRAGMA busy_timeout = 50")
        return self._connection.execute(query, parameters).all()

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()


def insert_into(
    session: AsyncSession, table: type[SQLModel]
) -> "postgresql.Insert | sqlite.Insert":
    """An INSERT that can say ON CONFLICT, in the words of the session's database."""
    dialect = session.get_bind().dialect.name
    return sqlite.insert(table) if dialect == "sqlite" else postgresql.insert(table)


def migrate(url: str, migrations: Path) -> None:
    """Brings the database at `url` to the newest revision in the folder `migrations`."""
    config = alembic.config.Config()
    config.set_main_option("script_location", str(migrations))
    config.attributes["url"] = _async_url(url)
    alembic.command.upgrade(config, "head")


def run_migrations(metadata: MetaData) -> None:
    """What a service's migrations/env.py does; called by Alembic in its own context."""
    url: URL = alembic.context.config.attributes["url"]

    def run(connection: Connection) -> None:
        alembic.context.configure(
            connection=connection, target_metadata=metadata, render_as_batch=True
        )
        with alembic.context.begin_transaction():
            alembic.context.run_migrations()

    async def run_async() -> None:
        engine = _engine(url)
        async with engine.execution_options(**{_WRITES: True}).begin() as connection:
            await connection.run_sync(run)
        await engine.dispose()

    asyncio.run(run_async())


def utc(time: datetime) -> datetime:
    """A time as it was stored: SQLite keeps no zone, and everything is stored in UTC."""
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def _async_url(url: str) -> URL:
    parsed = make_url(url)
    return parsed.set(drivername=_DRIVERS.get(parsed.drivername, parsed.drivername))


def _engine(url: URL) -> AsyncEngine:
    if not url.drivername.startswith("sqlite"):
        return create_async_engine(url, pool_pre_ping=True, pool_timeout=5, hide_parameters=True)
    engine = create_async_engine(url, connect_args={"isolation_level": None}, hide_parameters=True)
    event.listen(engine.sync_engine, "connect", _set_pragmas)
    event.listen(engine.sync_engine, "begin", _begin)
    return engine


def _set_pragmas(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    for pragma in _SQLITE_PRAGMAS:
        cursor.execute(pragma)
    cursor.close()


def _begin(connection: Connection) -> None:
    # A transaction that reads and then writes cannot wait for another writer: SQLite refuses it at
    # once. One that announces its write at the beginning waits in line.
    options = connection.get_execution_options()
    if options.get(_WRITES):
        connection.exec_driver_sql("BEGIN IMMEDIATE")
