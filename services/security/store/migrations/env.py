"""Run by Alembic, see services.runtime.database."""

from sqlmodel import SQLModel

import services.security.store.tables
from services.runtime.database import run_migrations

assert services.security.store.tables  # noqa: S101 - imported for its tables
run_migrations(SQLModel.metadata)
