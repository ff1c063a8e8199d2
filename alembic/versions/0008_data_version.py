"""Add the data version of PostgreSQL, which triggers move with each change of the values that processes cache.

Programs of 0007 continue to work on this schema, and their changes move the data version too. SQLite counts its
commits by itself, so the table stays empty there.
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

CACHED = ("mail_servers", "accounts", "sealed_keys")

# A value that never comes back, also if a standby or a restored dump continues: the transaction, the time and 2
# random numbers. PostgreSQL 12 has no better source of randomness without an extension.
NEW_VALUE = "concat(txid_current(), clock_timestamp(), random(), random())"

# Once in a transaction, because other transactions see only its last value; the note of it is undone with a
# savepoint, as the move itself. The schema is that of the changed table, whatever the search path of the session.
# With the rights of the owner, so that a program without rights on the new table can still write.
FUNCTION = """
CREATE FUNCTION move_data_version() RETURNS trigger LANGUAGE plpgsql
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $body$
BEGIN
    IF current_setting('mailsettings.moved', true) IS DISTINCT FROM txid_current()::text THEN
        EXECUTE format('UPDATE %I.data_version SET value = NEW_VALUE', TG_TABLE_SCHEMA);
        PERFORM set_config('mailsettings.moved', txid_current()::text, true);
    END IF;
    RETURN NULL;
END
$body$
""".replace("NEW_VALUE", NEW_VALUE)


def upgrade() -> None:
    op.create_table(
        "data_version",
        sa.Column("id", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("value", sa.Text, nullable=False),
        sa.CheckConstraint("id = 1", name="ck_data_version_single"),
        sa.PrimaryKeyConstraint("id", name="pk_data_version"),
    )
    if op.get_bind().dialect.name == "postgresql":
        op.execute("INSERT INTO data_version VALUES (1, NEW_VALUE)".replace("NEW_VALUE", NEW_VALUE))
        op.execute(FUNCTION)
        for table in CACHED:
            op.execute(
                f"CREATE TRIGGER move_data_version AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON {table} "
                "FOR EACH STATEMENT EXECUTE FUNCTION move_data_version()"
            )
            # Also in a session that applies the changes of another server (session_replication_role).
            op.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER move_data_version")
    op.execute('UPDATE schema_support SET works_with = \'["0003", "0004", "0005", "0006", "0007"]\'')


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        for table in CACHED:
            op.execute(f"DROP TRIGGER move_data_version ON {table}")
        op.execute("DROP FUNCTION move_data_version()")
    op.drop_table("data_version")
    op.execute('UPDATE schema_support SET works_with = \'["0003", "0004", "0005", "0006"]\'')
