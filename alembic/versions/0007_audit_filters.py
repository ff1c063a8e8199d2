"""Add indexes for the filters of the audit log.

Programs of 0006 continue to work on this schema.
"""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_FILTERS = ("actor", "action", "target", "outcome")


def upgrade() -> None:
    for column in _FILTERS:
        op.create_index(f"ix_audit_entries_{column}", "audit_entries", [column, "at"])
    op.execute('UPDATE schema_support SET works_with = \'["0003", "0004", "0005", "0006"]\'')


def downgrade() -> None:
    for column in _FILTERS:
        op.drop_index(f"ix_audit_entries_{column}", "audit_entries")
    op.execute('UPDATE schema_support SET works_with = \'["0003", "0004", "0005"]\'')
