"""Webhooks, events and their deliveries."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Makes the tables."""
    op.create_table(
        "webhook",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("account", sa.String, nullable=False),
        sa.Column("place", sa.Integer, nullable=False),
        sa.Column("url", sa.String, nullable=False),
        sa.Column("label", sa.String, nullable=False),
        sa.Column("event_types", sa.JSON, nullable=False),
        sa.Column("enabled", sa.Boolean, nullable=False),
        sa.Column("disabled_reason", sa.String, nullable=False),
        sa.Column("secret", sa.LargeBinary, nullable=False),
        sa.Column("old_secret", sa.LargeBinary, nullable=True),
        sa.Column("old_secret_expire_time", _TIME, nullable=True),
        sa.Column("failing_since", _TIME, nullable=True),
        sa.Column("create_time", _TIME, nullable=False),
        sa.UniqueConstraint("account", "place", name="webhook_place"),
    )
    op.create_table(
        "webhook_event",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("type", sa.String, nullable=False),
        sa.Column("body", sa.String, nullable=False),
        sa.Column("create_time", _TIME, nullable=False, index=True),
    )
    op.create_table(
        "webhook_delivery",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column(
            "webhook_id",
            sa.Uuid,
            sa.ForeignKey("webhook.id", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column(
            "event_id",
            sa.String,
            sa.ForeignKey("webhook_event.id", ondelete="CASCADE"),
            nullable=False,
            index=True,
        ),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("last_status", sa.Integer, nullable=False),
        sa.Column("last_reason", sa.String, nullable=False),
        sa.Column("create_time", _TIME, nullable=False),
        sa.Column("last_attempt_time", _TIME, nullable=True),
        sa.Column("next_attempt_time", _TIME, nullable=True),
        sa.Column("claim", sa.Uuid, nullable=True),
        sa.Column("claim_expire_time", _TIME, nullable=True),
    )
    op.create_index("webhook_delivery_due", "webhook_delivery", ["state", "next_attempt_time"])
    op.create_index("webhook_delivery_newest", "webhook_delivery", ["webhook_id", "create_time"])
