"""Images, what servers boot, and their rescues."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Makes the tables."""
    op.create_table(
        "image",
        sa.Column("name", sa.String, primary_key=True),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("kernel", sa.JSON, nullable=False),
        sa.Column("initrd", sa.JSON, nullable=False),
        sa.Column("command_line", sa.String, nullable=False),
        sa.Column("update_time", _TIME, nullable=False),
    )
    op.create_table(
        "netboot",
        sa.Column(
            "hostname",
            sa.String,
            sa.ForeignKey("server.hostname", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("boot_type", sa.String, nullable=False),
        sa.Column("image", sa.String, nullable=False),
        sa.Column("kernel", sa.String, nullable=False),
        sa.Column("operation", sa.Uuid, nullable=True),
        sa.Column("last_boot_type", sa.String, nullable=True),
        sa.Column("last_boot_time", _TIME, nullable=True),
    )
    op.create_table(
        "boot",
        sa.Column("operation", sa.Uuid, primary_key=True),
        sa.Column(
            "hostname",
            sa.String,
            sa.ForeignKey("server.hostname", ondelete="CASCADE"),
            nullable=False,
            index=True,
        ),
        sa.Column("boot_type", sa.String, nullable=False),
        sa.Column("image", sa.JSON, nullable=False),
        sa.Column("expire_time", _TIME, nullable=False),
        sa.Column("token_digest", sa.LargeBinary, nullable=False, index=True),
        sa.Column("report_digest", sa.LargeBinary, nullable=False, index=True),
        sa.Column("over", sa.Boolean, nullable=False),
        sa.Column("contact_time", _TIME, nullable=True),
        sa.Column("progress", sa.JSON, nullable=False),
        sa.Column("access", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "rescue",
        sa.Column(
            "hostname",
            sa.String,
            sa.ForeignKey("server.hostname", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("before", sa.String, nullable=False),
        sa.Column("operation", sa.Uuid, nullable=False),
        sa.Column("entered_by", sa.Uuid, nullable=False),
    )
    op.add_column("server", sa.Column("uuid", sa.String, nullable=False, server_default=""))
    op.add_column(
        "server", sa.Column("uefi", sa.Boolean, nullable=False, server_default=sa.false())
    )
    op.create_index("ix_server_mac", "server", ["mac"])
    op.create_index("ix_server_uuid", "server", ["uuid"])
