"""Servers, their addresses and operations."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_HOLDING = sa.text("state IN ('PENDING', 'RUNNING')")
_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Makes the tables."""
    op.create_table(
        "server",
        sa.Column("hostname", sa.String, primary_key=True),
        sa.Column("account", sa.String, nullable=False, index=True),
        sa.Column("ips", sa.JSON, nullable=False),
        sa.Column("datacenter", sa.String, nullable=False),
        sa.Column("mac", sa.String, nullable=False),
        sa.Column("bmc_address", sa.String, nullable=False),
        sa.Column("bmc_port", sa.Integer, nullable=False),
        sa.Column("bmc_credentials", sa.LargeBinary, nullable=False),
        sa.Column("create_time", _TIME, nullable=False),
    )
    op.create_table(
        "server_ip",
        sa.Column("ip", sa.String, primary_key=True),
        sa.Column(
            "hostname",
            sa.String,
            sa.ForeignKey("server.hostname", ondelete="CASCADE"),
            nullable=False,
            index=True,
        ),
    )
    op.create_table(
        "operation",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("server", sa.String, nullable=False),
        sa.Column("account", sa.String, nullable=False),
        sa.Column("key_id", sa.String, nullable=False),
        sa.Column("parameters", sa.JSON, nullable=False),
        sa.Column("request_id", sa.String, nullable=True),
        sa.Column("state", sa.String, nullable=False, index=True),
        sa.Column("steps", sa.JSON, nullable=False),
        sa.Column("failure", sa.JSON, nullable=True),
        sa.Column("result", sa.JSON, nullable=False),
        sa.Column("create_time", _TIME, nullable=False),
        sa.Column("update_time", _TIME, nullable=False),
        sa.Column("end_time", _TIME, nullable=True),
        sa.Column("sent_time", _TIME, nullable=True),
        sa.UniqueConstraint("account", "request_id", name="operation_request_id"),
    )
    op.create_index(
        "operation_holds_server",
        "operation",
        ["server"],
        unique=True,
        sqlite_where=_HOLDING,
        postgresql_where=_HOLDING,
    )
