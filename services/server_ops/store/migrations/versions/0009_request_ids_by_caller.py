"""A request id is one of its caller's: a key's, or a person's."""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Changes the table."""
    with op.batch_alter_table("operation") as table:
        table.drop_constraint("operation_request_id", type_="unique")
        table.create_unique_constraint("operation_request_id", ["account", "key_id", "request_id"])
