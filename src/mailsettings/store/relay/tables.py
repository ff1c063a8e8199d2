"""The tables of devices, of the message log, and of the relays that share a database."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
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
    literal_column,
)

from mailsettings.store.metadata import metadata

# Devices: what may submit mail to the relay. Without foreign keys, so that the message log can outlive a device.
devices = Table(
    "devices",
    metadata,
    Column("id", Integer, Identity(), primary_key=True),
    Column("version", Integer, nullable=False),
    Column("name", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("enabled", Boolean, nullable=False),
    # An HMAC-SHA-256 with a key of this service; empty if the device has no secret.
    Column("secret_hash", LargeBinary),
    Column("secret_stored_at", DateTime(timezone=True)),
    # JSON lists.
    Column("senders", Text, nullable=False),
    Column("from_domains", Text, nullable=False),
    Column("networks", Text, nullable=False),
    Column("trusts_network", Boolean, nullable=False),
    # Empty for the default mail server.
    Column("mail_server_id", Integer),
    Column("sends_as_stored_sender", Boolean, nullable=False),
    Column("sends_null_sender", Boolean, nullable=False),
    # Empty where no limit applies.
    Column("messages_per_minute", Integer),
    Column("max_recipients", Integer, nullable=False),
    Column("max_message_bytes", Integer),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("created_by", Text),
    Column("changed_at", DateTime(timezone=True), nullable=False),
    Column("changed_by", Text),
    UniqueConstraint("name"),
    sqlite_autoincrement=True,
)

# When each device last submitted a message, and from where; apart from `devices`, which processes cache.
device_uses = Table(
    "device_uses",
    metadata,
    Column("device_id", Integer, primary_key=True, autoincrement=False),
    Column("last_used_at", Float(53), nullable=False),
    Column("last_peer", Text, nullable=False),
)

# How many messages each device took of each minute's allowance, in minutes since the epoch.
device_rates = Table(
    "device_rates",
    metadata,
    Column("device_id", Integer, primary_key=True, autoincrement=False),
    Column("minute", Integer, primary_key=True, autoincrement=False),
    Column("used", Integer, nullable=False),
    Index("ix_device_rates_minute", "minute"),
)

# Logins that work once and expire soon, for the test of a device.
device_test_logins = Table(
    "device_test_logins",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("device_id", Integer, nullable=False),
    Column("secret_hash", LargeBinary, nullable=False),
    Column("expires_at", Float(53), nullable=False, index=True),
    # Empty until the login was used.
    Column("used_at", Float(53)),
)

# The message log. Ids begin with the time, so that their order is the order of time.
messages = Table(
    "messages",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("device_id", Integer, nullable=False),
    Column("device", Text, nullable=False),
    Column("peer", Text, nullable=False),
    Column("mail_server_id", Integer),
    Column("sender", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    # The header of this name.
    Column("message_id", Text),
    Column("result", String(16), nullable=False),
    Column("code", Integer, nullable=False),
    Column("enhanced_code", String(16)),
    Column("failure_code", String(64)),
    Column("words", Text, nullable=False),
    Column("milliseconds", Integer, nullable=False),
    # For the filters of the log, in the order of time.
    Index("ix_messages_device", "device", "id"),
    Index("ix_messages_sender", "sender", "id"),
    Index("ix_messages_message_id", "message_id", "id"),
)

MESSAGE_FAILED = messages.c.result != literal_column("'delivered'")
"""The condition of the index of failed messages; a query uses the index only with the same words."""

Index("ix_messages_failed", messages.c.id, sqlite_where=MESSAGE_FAILED, postgresql_where=MESSAGE_FAILED)

message_recipients = Table(
    "message_recipients",
    metadata,
    # The id of the message in the log.
    Column("log_id", String(32), primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    # In lower case.
    Column("address", Text, nullable=False),
    Column("accepted", Boolean, nullable=False),
    Index("ix_message_recipients_address", "address", "log_id"),
)

# The right of a relay to one connection to a mail server, until a time.
relay_places = Table(
    "relay_places",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("place", Integer, primary_key=True, autoincrement=False),
    Column("holder", String(64), nullable=False),
    Column("until", Float(53), nullable=False),
)

# The relays that wait for a place.
relay_waiting = Table(
    "relay_waiting",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("holder", String(64), primary_key=True),
    Column("until", Float(53), nullable=False),
)

# The relays that run; `listeners` is a JSON list.
relays = Table(
    "relays",
    metadata,
    Column("holder", String(64), primary_key=True),
    Column("listeners", Text, nullable=False),
    Column("until", Float(53), nullable=False),
)
