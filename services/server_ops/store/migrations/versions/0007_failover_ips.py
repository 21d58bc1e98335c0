"""Failover addresses, the networks that addresses are in, and their routers."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Changes the tables."""
    op.add_column(
        "server_ip", sa.Column("failover", sa.Boolean, nullable=False, server_default=sa.false())
    )
    op.add_column("server_ip", sa.Column("move", sa.Uuid, nullable=True))
    op.create_table(
        "router",
        sa.Column("name", sa.String, primary_key=True),
        sa.Column("address", sa.String, nullable=False),
        sa.Column("port", sa.Integer, nullable=False),
        sa.Column("user", sa.String, nullable=False),
        sa.Column("host_key", sa.String, nullable=False),
    )
    op.create_table(
        "network",
        sa.Column("name", sa.String, primary_key=True),
        sa.Column("cidr", sa.String, nullable=False, unique=True),
        sa.Column("gateway", sa.String, nullable=False),
        sa.Column("router", sa.String, sa.ForeignKey("router.name"), nullable=True),
    )
