"""An unblocking says what kind of caller asked for it."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Changes the table."""
    # With a default: processes of the version before still run, and do not know it.
    unknown = "AUDIENCE_UNSPECIFIED"
    kind = sa.Column("caller_kind", sa.String, nullable=False, server_default=unknown)
    op.add_column("unblocking", kind)
