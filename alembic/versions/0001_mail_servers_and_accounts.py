"""Mail servers, accounts, and which key secrets are sealed with."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "mail_servers",
        sa.Column("id", sa.Integer, sa.Identity(), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("is_default", sa.Boolean, nullable=False),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("port", sa.Integer, nullable=False),
        sa.Column("security", sa.String(16), nullable=False),
        sa.Column("sender_address", sa.Text, nullable=False),
        sa.Column("sender_name", sa.Text),
        sa.Column("authentication", sa.String(16), nullable=False),
        sa.Column("username", sa.Text),
        sa.Column("client_id", sa.Text),
        sa.Column("tenant", sa.Text),
        sa.Column("certificates", sa.Text),
        sa.Column("sealed_secret", sa.LargeBinary),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_mail_servers"),
        sa.CheckConstraint("port BETWEEN 1 AND 65535", name="port"),
        sa.CheckConstraint("security IN ('none', 'starttls', 'implicit-tls')", name="security"),
        sa.CheckConstraint("authentication IN ('none', 'ambient', 'password', 'oauth2')", name="authentication"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "uq_mail_servers_default",
        "mail_servers",
        ["is_default"],
        unique=True,
        sqlite_where=sa.text("is_default = 1"),
        postgresql_where=sa.text("is_default = true"),
    )
    op.create_table(
        "accounts",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("password_hash", sa.Text, nullable=False),
        sa.Column("grants", sa.Text, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_accounts"),
    )
    op.create_table(
        "sealing_keys",
        sa.Column("key_id", sa.String(16), nullable=False),
        sa.Column("sealed_check", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("key_id", name="pk_sealing_keys"),
    )


def downgrade() -> None:
    op.drop_table("sealing_keys")
    op.drop_table("accounts")
    op.drop_index("uq_mail_servers_default", "mail_servers")
    op.drop_table("mail_servers")
