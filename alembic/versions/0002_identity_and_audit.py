"""Add clients next to users, stamps that end tokens, failed logins, service keys, and the audit log."""

import secrets

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("accounts") as accounts:
        accounts.add_column(sa.Column("kind", sa.String(8), nullable=False, server_default="user"))
        accounts.add_column(sa.Column("security_stamp", sa.String(32), nullable=False, server_default=""))
        accounts.create_check_constraint("kind", "kind IN ('user', 'client')")
    _stamp_accounts()
    op.create_table(
        "login_failures",
        sa.Column("subject", sa.String(64), nullable=False),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("last_at", sa.Float(53), nullable=False),
        sa.Column("blocked_until", sa.Float(53), nullable=False),
        sa.PrimaryKeyConstraint("subject", name="pk_login_failures"),
    )
    op.create_index("ix_login_failures_last_at", "login_failures", ["last_at"])
    op.create_table(
        "sealed_keys",
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_sealed_keys"),
    )
    _create_audit_tables()


def _stamp_accounts() -> None:
    accounts = sa.table("accounts", sa.column("name", sa.Text), sa.column("security_stamp", sa.String))
    connection = op.get_bind()
    for name in connection.execute(sa.select(accounts.c.name)).scalars().all():
        stamped = sa.update(accounts).where(accounts.c.name == name).values(security_stamp=secrets.token_hex(16))
        connection.execute(stamped)


def _create_audit_tables() -> None:
    op.create_table(
        "audit_entries",
        sa.Column("sequence", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("at", sa.String(27), nullable=False),
        sa.Column("actor", sa.Text),
        sa.Column("address", sa.Text),
        sa.Column("request_id", sa.Text),
        sa.Column("action", sa.String(32), nullable=False),
        sa.Column("target", sa.Text),
        sa.Column("outcome", sa.String(16), nullable=False),
        sa.Column("details", sa.Text, nullable=False),
        sa.Column("mac", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("sequence", name="pk_audit_entries"),
    )
    op.create_index("ix_audit_entries_at", "audit_entries", ["at"])
    op.create_table(
        "audit_head",
        sa.Column("id", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("mac", sa.LargeBinary, nullable=False),
        sa.Column("seal", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit_head"),
        sa.CheckConstraint("id = 1", name="single"),
    )


def downgrade() -> None:
    for table in ("audit_head", "audit_entries", "sealed_keys", "login_failures"):
        op.drop_table(table)
    with op.batch_alter_table("accounts") as accounts:
        accounts.drop_constraint("kind", type_="check")
        accounts.drop_column("security_stamp")
        accounts.drop_column("kind")
