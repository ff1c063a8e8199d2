"""Add the known networks of accounts, and the account of each failed login.

Programs of 0004 continue to work on this schema. They count failed logins by other hashes, so while both
versions run, each counts separately.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("login_failures", sa.Column("account_hash", sa.String(64)))
    op.create_index("ix_login_failures_account_hash", "login_failures", ["account_hash"])
    op.create_table(
        "known_neighbourhoods",
        sa.Column("subject", sa.String(64), nullable=False),
        sa.Column("account_hash", sa.String(64), nullable=False),
        sa.Column("last_at", sa.Float(53), nullable=False),
        sa.PrimaryKeyConstraint("subject", name="pk_known_neighbourhoods"),
    )
    for column in ("account_hash", "last_at"):
        op.create_index(f"ix_known_neighbourhoods_{column}", "known_neighbourhoods", [column])
    op.execute('UPDATE schema_support SET works_with = \'["0003", "0004"]\'')


def downgrade() -> None:
    op.drop_table("known_neighbourhoods")
    op.drop_index("ix_login_failures_account_hash", "login_failures")
    with op.batch_alter_table("login_failures") as failures:
        failures.drop_column("account_hash")
    op.execute("UPDATE schema_support SET works_with = '[\"0003\"]'")
