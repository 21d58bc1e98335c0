"""What is planned for one start stands beside what a server boots at every start."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Changes the tables. A boot that is under way now fails, and can be asked for again."""
    op.execute(
        "UPDATE netboot SET boot_type = 'HARDDISK', image = '', kernel = '' "
        "WHERE operation IS NOT NULL"
    )
    op.drop_column("netboot", "operation")
    op.add_column("netboot", sa.Column("planned", sa.JSON, nullable=True))
