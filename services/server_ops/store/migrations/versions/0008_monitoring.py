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
    op.create_table(
        "monitored",
        sa.Column(
            "hostname",
            sa.String,
            sa.ForeignKey("server.hostname", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("due_time", sa.DateTime(timezone=True), nullable=False, index=True),
        sa.Column("rolled_until", sa.BigInteger, nullable=False),
        sa.Column("time", sa.DateTime(timezone=True), nullable=True),
        sa.Column("sensors", sa.LargeBinary, nullable=False),
        sa.Column("power", sa.String, nullable=False),
        sa.Column("seconds", sa.Float, nullable=False),
    )
    op.create_table(
        "chunk",
        sa.Column(
            "hostname",
            sa.String,
            sa.ForeignKey("server.hostname", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("step", sa.Integer, primary_key=True),
        sa.Column("start", sa.BigInteger, primary_key=True),
        sa.Column("content", sa.LargeBinary, nullable=False),
    )
    op.execute(
        "INSERT INTO monitored (hostname, due_time, rolled_until, sensors, power, seconds) "
        "SELECT hostname, create_time, 0, '', '', 0 FROM server"
    )
