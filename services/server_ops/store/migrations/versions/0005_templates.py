"""What can be installed, and what a boot installs."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Changes the tables."""
    op.create_table(
        "template",
        sa.Column("name", sa.String, primary_key=True),
        sa.Column("os", sa.String, nullable=False),
        sa.Column("version", sa.String, nullable=False),
        sa.Column("image", sa.String, nullable=False),
        sa.Column("command_line", sa.String, nullable=False),
        sa.Column("documents", sa.JSON, nullable=False),
        sa.Column("disk_image", sa.JSON, nullable=True),
        sa.Column("layouts", sa.JSON, nullable=False),
        sa.Column("update_time", sa.DateTime(timezone=True), nullable=False),
    )
    op.add_column("boot", sa.Column("installation", sa.JSON, nullable=True))
    op.add_column(
        "boot",
        sa.Column("first_boot_digest", sa.LargeBinary, nullable=False, server_default=""),
    )
    op.create_index("ix_boot_first_boot_digest", "boot", ["first_boot_digest"])
