"""Add the state that several processes share, and every version of a mail server.

Programs of 0002 continue to work on this schema: they neither read nor fill the new columns and tables.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("mail_servers", sa.Column("changed_by", sa.Text))
    op.add_column("mail_servers", sa.Column("secret_ends_on", sa.Date))
    _create_history()
    _create_repeats_and_limits()
    _create_watch()
    support = op.create_table(
        "schema_support",
        sa.Column("id", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("works_with", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_schema_support"),
        sa.CheckConstraint("id = 1", name="single"),
    )
    op.bulk_insert(support, [{"id": 1, "works_with": '["0002"]'}])


def _create_history() -> None:
    op.create_table(
        "mail_server_versions",
        sa.Column("id", sa.Integer, sa.Identity(), nullable=False),
        sa.Column("server_id", sa.Integer, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("is_default", sa.Boolean, nullable=False),
        sa.Column("removed", sa.Boolean, nullable=False),
        sa.Column("host", sa.Text),
        sa.Column("port", sa.Integer),
        sa.Column("security", sa.String(16)),
        sa.Column("sender_address", sa.Text),
        sa.Column("sender_name", sa.Text),
        sa.Column("authentication", sa.String(16)),
        sa.Column("username", sa.Text),
        sa.Column("client_id", sa.Text),
        sa.Column("tenant", sa.Text),
        sa.Column("certificates", sa.Text),
        sa.Column("sealed_secret", sa.LargeBinary),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_by", sa.Text),
        sa.PrimaryKeyConstraint("id", name="pk_mail_server_versions"),
        sa.UniqueConstraint("server_id", "version", name="uq_mail_server_versions_server_id_version"),
        sqlite_autoincrement=True,
    )

    op.create_index(
        "ix_mail_server_versions_removed",
        "mail_server_versions",
        ["server_id"],
        sqlite_where=sa.text("removed = 1"),
        postgresql_where=sa.text("removed"),
    )


def _create_repeats_and_limits() -> None:
    op.create_table(
        "idempotency_keys",
        sa.Column("key_hash", sa.String(64), nullable=False),
        sa.Column("request_mac", sa.LargeBinary, nullable=False),
        sa.Column("result", sa.Text),
        sa.Column("created_at", sa.Float(53), nullable=False),
        sa.PrimaryKeyConstraint("key_hash", name="pk_idempotency_keys"),
    )
    op.create_index("ix_idempotency_keys_created_at", "idempotency_keys", ["created_at"])
    op.create_table(
        "probe_admissions",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("principal", sa.Text, nullable=False),
        sa.Column("begun_at", sa.Float(53), nullable=False),
        sa.Column("ended_at", sa.Float(53)),
        sa.PrimaryKeyConstraint("id", name="pk_probe_admissions"),
    )
    op.create_index("ix_probe_admissions_principal", "probe_admissions", ["principal", "begun_at"])
    op.create_table(
        "leases",
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("holder", sa.String(64), nullable=False),
        sa.Column("until", sa.Float(53), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_leases"),
    )


def _create_watch() -> None:
    op.create_table(
        "watch_states",
        sa.Column("server_id", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("works", sa.Boolean, nullable=False),
        sa.Column("stage", sa.String(32)),
        sa.Column("code", sa.String(64)),
        sa.Column("since", sa.Float(53), nullable=False),
        sa.Column("checked_at", sa.Float(53), nullable=False),
        sa.Column("certificate_ends_at", sa.Float(53)),
        sa.Column("told", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("server_id", name="pk_watch_states"),
    )
    op.create_table(
        "webhook_events",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("created_at", sa.Float(53), nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("next_at", sa.Float(53), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_webhook_events"),
    )
    op.create_index("ix_webhook_events_next_at", "webhook_events", ["next_at"])


def downgrade() -> None:
    for table in (
        *("schema_support", "webhook_events", "watch_states", "leases", "probe_admissions"),
        *("idempotency_keys", "mail_server_versions"),
    ):
        op.drop_table(table)
    with op.batch_alter_table("mail_servers") as servers:
        servers.drop_column("secret_ends_on")
        servers.drop_column("changed_by")
