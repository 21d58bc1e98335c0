"""Gateways, how often addresses were banned, port-25 blocks, and what the sweep found."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Makes the tables."""
    op.create_table(
        "gateway",
        sa.Column("name", sa.String, primary_key=True),
        sa.Column("region", sa.String, nullable=False),
        sa.Column("networks", sa.JSON, nullable=False),
        sa.Column("ssh", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("socket", sa.String, nullable=False),
        sa.Column("time_zone", sa.String, nullable=False),
        sa.Column("mail_gate", sa.Boolean, nullable=False),
    )
    op.create_table(
        "ban_count",
        sa.Column("gateway", sa.String, primary_key=True),
        sa.Column("jail", sa.String, primary_key=True),
        sa.Column("ip", sa.String, primary_key=True),
        sa.Column("times", sa.Integer, nullable=False),
        sa.Column("since", _TIME, nullable=False, index=True),
    )
    op.create_table(
        "spam_block",
        sa.Column("ip", sa.String, primary_key=True),
        sa.Column("state", sa.String, nullable=False, index=True),
        sa.Column("reason", sa.String, nullable=False),
        sa.Column("blocked_by", sa.String, nullable=False),
        sa.Column("block_time", _TIME, nullable=False),
        sa.Column("unblock_time", _TIME, nullable=False),
        sa.Column("times", sa.Integer, nullable=False),
        sa.Column("lift_time", _TIME, nullable=True),
        sa.Column("operation", sa.Uuid, nullable=True),
    )
    op.create_table(
        "unblocking",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("ip", sa.String, nullable=False),
        sa.Column("hostname", sa.String, nullable=False),
        sa.Column("account", sa.String, nullable=False),
        sa.Column("request_id", sa.String, nullable=True),
        sa.Column("state", sa.String, nullable=False, index=True),
        sa.Column("failure", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("create_time", _TIME, nullable=False),
        sa.Column("update_time", _TIME, nullable=False),
        sa.Column("end_time", _TIME, nullable=True),
        # NULLs are distinct: only given request ids are unique.
        sa.UniqueConstraint("account", "request_id", name="unblocking_request_id"),
    )
    op.create_table(
        "look_up",
        sa.Column("ip", sa.String, primary_key=True),
        sa.Column("lists", sa.JSON, nullable=False),
        sa.Column("due_time", _TIME, nullable=False, index=True),
    )
