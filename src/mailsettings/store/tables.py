"""The tables: one schema for SQLite and PostgreSQL, built by the migrations in `alembic/` alone."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    Float,
    Identity,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
    select,
    true,
)

import mailsettings.store.relay.tables  # noqa: F401  # adds its tables to the metadata
from mailsettings.store import metadata as names

metadata = names.metadata
"""All tables, with those of `relay_tables`."""

mail_servers = Table(
    "mail_servers",
    metadata,
    # Ids of deleted rows are not reused: AUTOINCREMENT on SQLite, a sequence on PostgreSQL.
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
    # Random, new for each secret that a caller gives; empty if an older program stored the secret.
    Column("secret_label", String(12)),
    # Empty if an older program stored the secret.
    Column("secret_stored_at", DateTime(timezone=True)),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("updated_at", DateTime(timezone=True), nullable=False),
    Column("changed_by", Text),
    Column("created_by", Text),
    # The name of the API; empty for servers that earlier versions created.
    Column("created_through", Text),
    # When the secret expires, if an administrator entered it.
    Column("secret_ends_on", Date),
    # Empty if a program without names stored the server; the next start fills it.
    Column("name", Text),
    Column("description", Text),
    # A JSON object, with its keys in order.
    Column("labels", Text),
    Column("enabled", Boolean, nullable=False, server_default=true()),
    # When it was chosen as the default; empty for a default that a program without this choice made.
    Column("default_since", DateTime(timezone=True)),
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

Index("uq_mail_servers_name", mail_servers.c.name, unique=True)

# The earlier versions of each server; the row of a removal has only the numbers.
mail_server_versions = Table(
    "mail_server_versions",
    metadata,
    Column("id", Integer, Identity(), primary_key=True),
    Column("server_id", Integer, nullable=False),
    Column("version", Integer, nullable=False),
    Column("is_default", Boolean, nullable=False),
    Column("removed", Boolean, nullable=False),
    Column("host", Text),
    Column("port", Integer),
    Column("security", String(16)),
    Column("sender_address", Text),
    Column("sender_name", Text),
    Column("authentication", String(16)),
    Column("username", Text),
    Column("client_id", Text),
    Column("tenant", Text),
    Column("certificates", Text),
    Column("sealed_secret", LargeBinary),
    Column("secret_label", String(12)),
    # Empty if an older program stored the secret.
    Column("secret_stored_at", DateTime(timezone=True)),
    Column("changed_at", DateTime(timezone=True), nullable=False),
    Column("changed_by", Text),
    Column("name", Text),
    Column("description", Text),
    Column("labels", Text),
    Column("enabled", Boolean),
    UniqueConstraint("server_id", "version"),
    sqlite_autoincrement=True,
)

Index(
    "ix_mail_server_versions_removed",
    mail_server_versions.c.server_id,
    sqlite_where=mail_server_versions.c.removed,
    postgresql_where=mail_server_versions.c.removed,
)

accounts = Table(
    "accounts",
    metadata,
    Column("name", Text, primary_key=True),
    Column("password_hash", Text, nullable=False),
    Column("grants", Text, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("kind", String(8), nullable=False, server_default="user"),
    # New with each password; a token contains the stamp that it was issued with.
    Column("security_stamp", String(32), nullable=False, server_default=""),
    CheckConstraint("kind IN ('user', 'client')", name="kind"),
)

# Failed logins by a keyed hash of their throttle key, such as account and network.
login_failures = Table(
    "login_failures",
    metadata,
    Column("subject", String(64), primary_key=True),
    Column("failures", Integer, nullable=False),
    Column("last_at", Float(53), nullable=False, index=True),
    Column("blocked_until", Float(53), nullable=False),
    # Empty if the key does not belong to one account.
    Column("account_hash", String(64), index=True),
)

# The networks from which each account logged in lately, by a keyed hash of both.
known_networks = Table(
    "known_neighbourhoods",
    metadata,
    Column("subject", String(64), primary_key=True),
    Column("account_hash", String(64), nullable=False, index=True),
    Column("last_at", Float(53), nullable=False, index=True),
)

encryption_keys = Table(
    "sealing_keys",
    metadata,
    Column("key_id", String(16), primary_key=True),
    Column("sealed_check", LargeBinary, nullable=False),
)

# The keys of the service that every replica needs: those that sign access tokens, and that of the audit log.
service_keys = Table(
    "sealed_keys",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("sealed", LargeBinary, nullable=False),
)

audit_entries = Table(
    "audit_entries",
    metadata,
    # Assigned by the program without gaps; numbers that the database assigns have gaps.
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    # As text, in the form that the hash covers.
    Column("at", String(27), nullable=False, index=True),
    Column("actor", Text),
    Column("address", Text),
    Column("request_id", Text),
    Column("action", String(32), nullable=False),
    Column("target", Text),
    Column("outcome", String(16), nullable=False),
    Column("details", Text, nullable=False),
    Column("mac", LargeBinary, nullable=False),
    # For the filters of the log, in the order of time.
    Index("ix_audit_entries_actor", "actor", "at"),
    Index("ix_audit_entries_action", "action", "at"),
    Index("ix_audit_entries_target", "target", "at"),
    Index("ix_audit_entries_outcome", "outcome", "at"),
)

# One row: the second record of the last entry.
audit_head = Table(
    "audit_head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("sequence", BigInteger, nullable=False),
    Column("mac", LargeBinary, nullable=False),
    Column("seal", LargeBinary, nullable=False),
    CheckConstraint("id = 1", name="single"),
)

# Idempotent requests by a hash of the caller and the key.
idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("key_hash", String(64), primary_key=True),
    Column("request_mac", LargeBinary, nullable=False),
    # Empty while the first request is being processed.
    Column("result", Text),
    Column("created_at", Float(53), nullable=False, index=True),
)

# Connection tests that were admitted, for the limits per principal.
probe_admissions = Table(
    "probe_admissions",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("principal", Text, nullable=False),
    Column("begun_at", Float(53), nullable=False),
    Column("ended_at", Float(53)),
    Index("ix_probe_admissions_principal", "principal", "begun_at"),
)

# Leases: which process does the work that one process does for all, and until when.
leases = Table(
    "leases",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("holder", String(64), nullable=False),
    Column("until", Float(53), nullable=False),
)

# The result of the last scheduled check of each server.
watch_states = Table(
    "watch_states",
    metadata,
    Column("server_id", Integer, primary_key=True, autoincrement=False),
    Column("version", Integer, nullable=False),
    Column("works", Boolean, nullable=False),
    Column("stage", String(32)),
    Column("code", String(64)),
    Column("since", Float(53), nullable=False),
    Column("checked_at", Float(53), nullable=False),
    Column("certificate_ends_at", Float(53)),
    Column("told", Text, nullable=False),
)

# Events that wait for delivery to the webhook.
webhook_events = Table(
    "webhook_events",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("created_at", Float(53), nullable=False),
    Column("body", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_at", Float(53), nullable=False, index=True),
)

# One row: a JSON list of older revisions; the programs made for them can work with this schema.
schema_support = Table(
    "schema_support",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("works_with", Text, nullable=False),
    CheckConstraint("id = 1", name="single"),
)

# One row on PostgreSQL, which triggers move; empty on SQLite, which counts its commits by itself.
data_version = Table(
    "data_version",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("value", Text, nullable=False),
    CheckConstraint("id = 1", name="single"),
)

DATA_VERSION = select(data_version.c.value).where(data_version.c.id == 1).scalar_subquery().label("data_version")
"""A column for the data version of the statement's snapshot."""
