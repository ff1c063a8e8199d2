"""Add devices, the message log, and the rows by which relays share connections.

Programs of 0009 continue to work on this schema: they do not know the tables.
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)
_SECONDS = sa.Float(53)


def upgrade() -> None:
    _create_devices()
    _create_rows_of_devices()
    _create_message_log()
    _create_rows_of_relays()
    if op.get_bind().dialect.name == "postgresql":
        # As in 0008.
        op.execute(
            "CREATE TRIGGER move_data_version AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON devices "
            "FOR EACH STATEMENT EXECUTE FUNCTION move_data_version()"
        )
        op.execute("ALTER TABLE devices ENABLE ALWAYS TRIGGER move_data_version")
    op.execute(
        'UPDATE schema_support SET works_with = \'["0003", "0004", "0005", "0006", "0007", "0008", "0009"]\''
    )


def _create_devices() -> None:
    op.create_table(
        "devices",
        sa.Column("id", sa.Integer, sa.Identity(), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("enabled", sa.Boolean, nullable=False),
        sa.Column("secret_hash", sa.LargeBinary),
        sa.Column("secret_stored_at", _TIME),
        sa.Column("senders", sa.Text, nullable=False),
        sa.Column("from_domains", sa.Text, nullable=False),
        sa.Column("networks", sa.Text, nullable=False),
        sa.Column("trusts_network", sa.Boolean, nullable=False),
        sa.Column("mail_server_id", sa.Integer),
        sa.Column("sends_as_stored_sender", sa.Boolean, nullable=False),
        sa.Column("sends_null_sender", sa.Boolean, nullable=False),
        sa.Column("messages_per_minute", sa.Integer),
        sa.Column("max_recipients", sa.Integer, nullable=False),
        sa.Column("max_message_bytes", sa.Integer),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("created_by", sa.Text),
        sa.Column("changed_at", _TIME, nullable=False),
        sa.Column("changed_by", sa.Text),
        sa.PrimaryKeyConstraint("id", name="pk_devices"),
        sa.UniqueConstraint("name", name="uq_devices_name"),
        sqlite_autoincrement=True,
    )


def _create_rows_of_devices() -> None:
    op.create_table(
        "device_uses",
        sa.Column("device_id", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("last_used_at", _SECONDS, nullable=False),
        sa.Column("last_peer", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("device_id", name="pk_device_uses"),
    )
    op.create_table(
        "device_rates",
        sa.Column("device_id", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("minute", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("used", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("device_id", "minute", name="pk_device_rates"),
    )
    op.create_index("ix_device_rates_minute", "device_rates", ["minute"])
    op.create_table(
        "device_test_logins",
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("device_id", sa.Integer, nullable=False),
        sa.Column("secret_hash", sa.LargeBinary, nullable=False),
        sa.Column("expires_at", _SECONDS, nullable=False),
        sa.Column("used_at", _SECONDS),
        sa.PrimaryKeyConstraint("name", name="pk_device_test_logins"),
    )
    op.create_index("ix_device_test_logins_expires_at", "device_test_logins", ["expires_at"])


def _create_message_log() -> None:
    op.create_table(
        "messages",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("at", _TIME, nullable=False),
        sa.Column("device_id", sa.Integer, nullable=False),
        sa.Column("device", sa.Text, nullable=False),
        sa.Column("peer", sa.Text, nullable=False),
        sa.Column("mail_server_id", sa.Integer),
        sa.Column("sender", sa.Text, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("message_id", sa.Text),
        sa.Column("result", sa.String(16), nullable=False),
        sa.Column("code", sa.Integer, nullable=False),
        sa.Column("enhanced_code", sa.String(16)),
        sa.Column("failure_code", sa.String(64)),
        sa.Column("words", sa.Text, nullable=False),
        sa.Column("milliseconds", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_messages"),
    )
    for column in ("device", "sender", "message_id"):
        op.create_index(f"ix_messages_{column}", "messages", [column, "id"])
    failed = sa.text("result != 'delivered'")
    op.create_index("ix_messages_failed", "messages", ["id"], sqlite_where=failed, postgresql_where=failed)
    op.create_table(
        "message_recipients",
        sa.Column("log_id", sa.String(32), nullable=False),
        sa.Column("position", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("address", sa.Text, nullable=False),
        sa.Column("accepted", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("log_id", "position", name="pk_message_recipients"),
    )
    op.create_index("ix_message_recipients_address", "message_recipients", ["address", "log_id"])


def _create_rows_of_relays() -> None:
    op.create_table(
        "relay_places",
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("place", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("holder", sa.String(64), nullable=False),
        sa.Column("until", _SECONDS, nullable=False),
        sa.PrimaryKeyConstraint("key", "place", name="pk_relay_places"),
    )
    op.create_table(
        "relay_waiting",
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("holder", sa.String(64), nullable=False),
        sa.Column("until", _SECONDS, nullable=False),
        sa.PrimaryKeyConstraint("key", "holder", name="pk_relay_waiting"),
    )
    op.create_table(
        "relays",
        sa.Column("holder", sa.String(64), nullable=False),
        sa.Column("listeners", sa.Text, nullable=False),
        sa.Column("until", _SECONDS, nullable=False),
        sa.PrimaryKeyConstraint("holder", name="pk_relays"),
    )


def downgrade() -> None:
    for table in ("relays", "relay_waiting", "relay_places", "message_recipients", "messages"):
        op.drop_table(table)
    for table in ("device_test_logins", "device_rates", "device_uses", "devices"):
        op.drop_table(table)
    _set_works_with('["0003", "0004", "0005", "0006", "0007", "0008"]')


def _set_works_with(revisions: str) -> None:
    support = sa.table("schema_support", sa.column("works_with", sa.Text))
    op.execute(support.update().values(works_with=revisions))
