"""What is measured of servers, and where their traffic is counted."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Changes the tables."""
    op.create_table(
        "uplink",
        sa.Column(
            "hostname",
            sa.String,
            sa.ForeignKey("server.hostname", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("switch_address", sa.String, nullable=False),
        sa.Column("switch_port", sa.Integer, nullable=False),
        sa.Column("interface", sa.Integer, nullable=False),
        sa.Column("login", sa.LargeBinary, nullable=False),
    )
