"""An operation can send several commands; a BMC can speak Redfish, and is known."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)

_OPERATION = sa.table(
    "operation",
    sa.column("id", sa.Uuid),
    sa.column("sent_time", _TIME),
    sa.column("sent", sa.JSON),
)

_SEND = "1"
"""The step that sent the one command of a reboot."""


def upgrade() -> None:
    """Changes the tables."""
    op.add_column("operation", sa.Column("sent", sa.JSON, nullable=False, server_default="{}"))
    connection = op.get_bind()
    sent = sa.select(_OPERATION.c.id, _OPERATION.c.sent_time).where(
        _OPERATION.c.sent_time.is_not(None)
    )
    for operation, time in connection.execute(sent).all():
        connection.execute(
            sa.update(_OPERATION)
            .where(_OPERATION.c.id == operation)
            .values(sent={_SEND: time.isoformat()})
        )
    op.drop_column("operation", "sent_time")
    op.add_column(
        "server", sa.Column("bmc_protocol", sa.String, nullable=False, server_default="IPMI")
    )
    op.add_column(
        "server", sa.Column("registration", sa.Integer, nullable=False, server_default="1")
    )
    op.add_column("server", sa.Column("bmc_refused", sa.Integer, nullable=True))
    op.create_table(
        "bmc_status",
        sa.Column(
            "hostname",
            sa.String,
            sa.ForeignKey("server.hostname", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("reachability", sa.String, nullable=True),
        sa.Column("trouble", sa.String, nullable=True),
        sa.Column("power", sa.String, nullable=False),
        sa.Column("contact_time", _TIME, nullable=True),
        sa.Column("check_time", _TIME, nullable=True),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("identity", sa.JSON, nullable=True),
        sa.Column("identify_time", _TIME, nullable=True),
        sa.Column("expected_power", sa.String, nullable=True),
        sa.Column("drift_time", _TIME, nullable=True),
        sa.Column("due_time", _TIME, nullable=False, index=True),
    )
    op.create_table(
        "instance",
        sa.Column("name", sa.String, primary_key=True),
        sa.Column("expire_time", _TIME, nullable=False),
    )
    op.create_table(
        "bmc_lease",
        sa.Column("address", sa.String, primary_key=True),
        sa.Column("port", sa.Integer, primary_key=True),
        sa.Column("instance", sa.String, nullable=False, index=True),
        sa.Column("expire_time", _TIME, nullable=False),
        sa.Column("wanted", sa.Boolean, nullable=False),
    )
    # Every server that there is, to be asked from now on.
    op.execute(
        "INSERT INTO bmc_status (hostname, power, failures, due_time) "
        "SELECT hostname, 'UNKNOWN', 0, create_time FROM server"
    )
