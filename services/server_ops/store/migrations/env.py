"""Run by Alembic, see services.runtime.database."""

from sqlmodel import SQLModel

import services.server_ops.store.tables
from services.runtime.database import run_migrations

assert services.server_ops.store.tables  # noqa: S101 - imported for its tables
run_migrations(SQLModel.metadata)
