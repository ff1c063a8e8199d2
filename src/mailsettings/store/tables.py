"""The tables: one schema for SQLite and PostgreSQL, built by the migrations in `alembic/` alone."""

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    true,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "pk": "pk_%(table_name)s",
    }
)

mail_servers = Table(
    "mail_servers",
    metadata,
    # Ids of deleted rows do not come back: AUTOINCREMENT there, a sequence here.
    Column("id", Integer, Identity(), primary_key=True),
    Column("version", Integer, nullable=False),
    Column("is_default", Boolean, nullable=False),
    Column("host", Text, nullable=False),
    Column("port", Integer, nullable=False),
    Column("security", String(16), nullable=False),
    Column("sender_address", Text, nullable=False),
    Column("sender_name", Text),
    Column("authentication", String(16), nullable=False),
    Column("username", Text),
    Column("client_id", Text),
    Column("tenant", Text),
    Column("certificates", Text),
    Column("sealed_secret", LargeBinary),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("updated_at", DateTime(timezone=True), nullable=False),
    CheckConstraint("port BETWEEN 1 AND 65535", name="port"),
    CheckConstraint("security IN ('none', 'starttls', 'implicit-tls')", name="security"),
    CheckConstraint("authentication IN ('none', 'ambient', 'password', 'oauth2')", name="authentication"),
    sqlite_autoincrement=True,
)

# At most one row is the default.
Index(
    "uq_mail_servers_default",
    mail_servers.c.is_default,
    unique=True,
    sqlite_where=mail_servers.c.is_default == true(),
    postgresql_where=mail_servers.c.is_default == true(),
)

accounts = Table(
    "accounts",
    metadata,
    Column("name", Text, primary_key=True),
    Column("password_hash", Text, nullable=False),
    Column("grants", Text, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
)

sealing_keys = Table(
    "sealing_keys",
    metadata,
    Column("key_id", String(16), primary_key=True),
    Column("sealed_check", LargeBinary, nullable=False),
)
