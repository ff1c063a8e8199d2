"""Add names, notes and states of mail servers, when the default was chosen, and when a secret was stored.

Programs of 0008 continue to work on this schema: they leave the columns empty, their new rows are enabled, and
they ignore the new permissions.
"""

import json

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_ABOUT_MAIL_SERVERS = {"bi-service-administrator", "manage-system-settings"}
_REST_BEFORE = {"view-audit-log", "view-metrics"}
_NEW = {"manage-accounts", "manage-devices", "manage-keys", "view-messages"}


def upgrade() -> None:
    op.add_column("mail_servers", sa.Column("name", sa.Text))
    op.add_column("mail_servers", sa.Column("description", sa.Text))
    op.add_column("mail_servers", sa.Column("labels", sa.Text))
    op.add_column("mail_servers", sa.Column("enabled", sa.Boolean, nullable=False, server_default=sa.true()))
    op.add_column("mail_servers", sa.Column("default_since", sa.DateTime(timezone=True)))
    op.add_column("mail_servers", sa.Column("secret_stored_at", sa.DateTime(timezone=True)))
    op.create_index("uq_mail_servers_name", "mail_servers", ["name"], unique=True)
    for column in (
        *(sa.Column("name", sa.Text), sa.Column("description", sa.Text)),
        *(sa.Column("labels", sa.Text), sa.Column("enabled", sa.Boolean)),
        sa.Column("secret_stored_at", sa.DateTime(timezone=True)),
    ):
        op.add_column("mail_server_versions", column)
    _give_new_permissions()
    op.execute('UPDATE schema_support SET works_with = \'["0003", "0004", "0005", "0006", "0007", "0008"]\'')


def _give_new_permissions() -> None:
    """Give the new permissions to the people with all permissions of the version before, as the first account."""
    accounts = sa.table(
        "accounts", sa.column("name", sa.Text), sa.column("grants", sa.Text), sa.column("kind", sa.Text)
    )
    database = op.get_bind()
    people = sa.select(accounts.c.name, accounts.c.grants).where(accounts.c.kind == "user")
    for name, stored in database.execute(people).all():
        grants = set(json.loads(stored))
        if grants & _ABOUT_MAIL_SERVERS and grants >= _REST_BEFORE:
            changed = accounts.update().where(accounts.c.name == name)
            database.execute(changed.values(grants=json.dumps(sorted(grants | _NEW))))


def downgrade() -> None:
    with op.batch_alter_table("mail_server_versions") as versions:
        for name in ("secret_stored_at", "enabled", "labels", "description", "name"):
            versions.drop_column(name)
    op.drop_index("uq_mail_servers_name", "mail_servers")
    with op.batch_alter_table("mail_servers") as servers:
        for name in ("secret_stored_at", "default_since", "enabled", "labels", "description", "name"):
            servers.drop_column(name)
    op.execute('UPDATE schema_support SET works_with = \'["0003", "0004", "0005", "0006", "0007"]\'')
