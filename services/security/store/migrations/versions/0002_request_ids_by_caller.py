"""A request id is one of its caller's: a key's, or a person's."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Changes the table."""
    with op.batch_alter_table("unblocking") as table:
        # With a default: processes of the version before still run, and do not know it.
        table.add_column(sa.Column("caller", sa.String, nullable=False, server_default=""))
        table.drop_constraint("unblocking_request_id", type_="unique")
        table.create_unique_constraint("unblocking_request_id", ["account", "caller", "request_id"])
