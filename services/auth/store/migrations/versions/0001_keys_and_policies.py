"""Keys and policies."""

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
        "api_key",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("audience", sa.String, nullable=False),
        sa.Column("account", sa.String, nullable=False),
        sa.Column("label", sa.String, nullable=False),
        sa.Column("capabilities", sa.JSON, nullable=False),
        sa.Column("servers", sa.JSON, nullable=False),
        sa.Column("cidrs", sa.JSON, nullable=False),
        sa.Column("pepper", sa.Integer, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("policy_digest", sa.LargeBinary, nullable=False),
        sa.Column("create_time", _TIME, nullable=False),
        sa.Column("expire_time", _TIME, nullable=True),
        sa.Column("revoke_time", _TIME, nullable=True),
    )
    op.create_index("api_key_of_account", "api_key", ["account", "create_time", "id"])
    op.create_table(
        "policy",
        sa.Column("digest", sa.LargeBinary, primary_key=True),
        sa.Column("content", sa.LargeBinary, nullable=False),
    )
