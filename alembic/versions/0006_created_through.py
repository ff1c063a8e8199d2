"""Add who created a mail server and through which API, for the audit entry about its replacement.

Programs of 0005 continue to work on this schema: they leave the columns empty.
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("mail_servers", sa.Column("created_by", sa.Text))
    op.add_column("mail_servers", sa.Column("created_through", sa.Text))
    op.execute('UPDATE schema_support SET works_with = \'["0003", "0004", "0005"]\'')


def downgrade() -> None:
    with op.batch_alter_table("mail_servers") as servers:
        servers.drop_column("created_through")
        servers.drop_column("created_by")
    op.execute('UPDATE schema_support SET works_with = \'["0003", "0004"]\'')
