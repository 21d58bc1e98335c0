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
