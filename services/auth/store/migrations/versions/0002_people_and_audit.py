"""Accounts, users, sessions, the life of keys, and the audit trail."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)
_EPOCH = "1970-01-01 00:00:00+00:00"


def upgrade() -> None:
    """Makes the tables, and an account for every key that there is."""
    op.create_table(
        "account",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("create_time", _TIME, nullable=False),
    )
    op.execute(
        "INSERT INTO account (id, kind, create_time) SELECT account, 'CUSTOMER', MIN(create_time)"
        " FROM api_key WHERE account <> '' GROUP BY account"
    )
    op.create_table(
        "user_account",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("account", sa.String, sa.ForeignKey("account.id"), nullable=False),
        sa.Column("email", sa.String, nullable=False, unique=True),
        sa.Column("role", sa.String, nullable=False),
        sa.Column("disabled", sa.Boolean, nullable=False),
        sa.Column("create_time", _TIME, nullable=False),
        sa.Column("password", sa.String, nullable=True),
        sa.Column("totp", sa.LargeBinary, nullable=True),
        sa.Column("totp_confirmed", sa.Boolean, nullable=False),
        sa.Column("totp_step", sa.BigInteger, nullable=False),
        sa.Column("recovery", sa.JSON, nullable=False),
        sa.Column("oidc_issuer", sa.String, nullable=True),
        sa.Column("oidc_subject", sa.String, nullable=True),
        sa.UniqueConstraint("oidc_issuer", "oidc_subject", name="user_of_oidc"),
    )
    op.create_index("user_of_account", "user_account", ["account", "email"])
    op.create_table(
        "user_session",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column(
            "user_id",
            sa.String,
            sa.ForeignKey("user_account.id", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("pepper", sa.Integer, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("create_time", _TIME, nullable=False),
        sa.Column("last_used_time", _TIME, nullable=False),
        sa.Column("expire_time", _TIME, nullable=False),
    )
    op.create_index("session_of_user", "user_session", ["user_id"])
    op.create_index("session_end", "user_session", ["expire_time"])
    op.create_table(
        "sign_in_throttle",
        sa.Column("subject", sa.String, primary_key=True),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("last_time", _TIME, nullable=False),
    )
    with op.batch_alter_table("api_key") as table:
        table.add_column(sa.Column("last_used_at", _TIME, nullable=True))
        for name in ("last_used_ip", "replaces", "replaced_by"):
            table.add_column(sa.Column(name, sa.String, nullable=False, server_default=""))
        table.add_column(sa.Column("certificate", sa.String, nullable=True))
        table.create_unique_constraint("api_key_certificate", ["certificate"])
    op.create_table(
        "key_usage",
        sa.Column("key_id", sa.String, primary_key=True),
        sa.Column("hour", sa.Integer, primary_key=True),
        sa.Column("capability", sa.String, primary_key=True),
        sa.Column("calls", sa.Integer, nullable=False),
    )
    with op.batch_alter_table("policy") as table:
        table.add_column(sa.Column("use_time", _TIME, nullable=False, server_default=_EPOCH))
    op.create_table(
        "audit",
        sa.Column(
            "sequence",
            sa.BigInteger().with_variant(sa.Integer, "sqlite"),
            primary_key=True,
            autoincrement=False,
        ),
        sa.Column("attempt", sa.BigInteger, nullable=True),
        sa.Column("time", _TIME, nullable=False),
        sa.Column("account", sa.String, nullable=False),
        sa.Column("subject", sa.String, nullable=False),
        sa.Column("method", sa.String, nullable=False),
        sa.Column("resource", sa.String, nullable=False),
        sa.Column("outcome", sa.Integer, nullable=False),
        sa.Column("content", sa.LargeBinary, nullable=False),
        sa.Column("hash", sa.LargeBinary, nullable=False),
        sa.UniqueConstraint("attempt", name="audit_outcome_once"),
    )
    op.create_index("audit_of_account", "audit", ["account", "attempt", "sequence"])
    op.create_table(
        "audit_head",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("hash", sa.LargeBinary, nullable=False),
    )
    zero = "decode(repeat('00', 32), 'hex')" if _on_postgresql() else "zeroblob(32)"
    op.execute(f"INSERT INTO audit_head (id, sequence, hash) VALUES (1, 0, {zero})")  # noqa: S608
    _refuse_changes_of_audit()


def _refuse_changes_of_audit() -> None:
    """The first hurdle for who would change the trail; the chain shows what was done behind it."""
    if _on_postgresql():
        op.execute(
            "CREATE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN RAISE EXCEPTION 'audit is only added to'; END $$"
        )
        op.execute(
            "CREATE TRIGGER audit_only_added BEFORE UPDATE OR DELETE OR TRUNCATE ON audit"
            " FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()"
        )
        return
    for change in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER audit_no_{change.lower()} BEFORE {change} ON audit"
            " BEGIN SELECT RAISE(ABORT, 'audit is only added to'); END"
        )


def _on_postgresql() -> bool:
    return op.get_bind().dialect.name == "postgresql"
