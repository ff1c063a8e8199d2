"""Add a random label for each stored secret, which the audit log shows instead of a keyed hash of the secret.

Programs of 0003 continue to work on this schema: they ignore the columns. The columns are empty for existing
secrets; the migration fills nothing in, so it is quick.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("mail_servers", sa.Column("secret_label", sa.String(12)))
    op.add_column("mail_server_versions", sa.Column("secret_label", sa.String(12)))
    op.execute("UPDATE schema_support SET works_with = '[\"0003\"]'")


def downgrade() -> None:
    for table in ("mail_server_versions", "mail_servers"):
        with op.batch_alter_table(table) as changed:
            changed.drop_column("secret_label")
    op.execute("UPDATE schema_support SET works_with = '[\"0002\"]'")
