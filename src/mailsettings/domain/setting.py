"""The names of the settings, for errors and suggestions that refer to one."""

from collections.abc import Mapping
from enum import StrEnum


class Setting(StrEnum):
    """A setting of a mail server or device; each dialect has its own name for it."""

    AUTHENTICATION = "authentication"
    CERTIFICATE = "certificate"
    CLIENT_ID = "client id"
    CLIENT_SECRET = "client secret"
    DEADLINE = "deadline"
    DEFAULT_CREDENTIALS = "default credentials"
    DESCRIPTION = "description"
    EHLO_NAME = "EHLO name"
    ENABLED = "enabled"
    FROM_DOMAINS = "from domains"
    HOST = "host"
    LABELS = "labels"
    MAIL_SERVER = "mail server"
    MAX_MESSAGE_BYTES = "max message bytes"
    MAX_RECIPIENTS = "max recipients"
    MESSAGES_PER_MINUTE = "messages per minute"
    NAME = "name"
    NETWORKS = "networks"
    PASSWORD = "password"
    PORT = "port"
    RECIPIENT = "recipient"
    SECURITY = "connection security"
    SENDER_ADDRESS = "sender address"
    SENDER_NAME = "sender name"
    SENDERS = "senders"
    SENDS_AS_STORED_SENDER = "sends as stored sender"
    SENDS_NULL_SENDER = "sends null sender"
    TENANT = "tenant"
    TRUSTS_NETWORK = "trusts network"
    USERNAME = "user name"


SERVICE_SETTINGS: Mapping[Setting, str] = {
    Setting.DEADLINE: "MAILSETTINGS_SMTP_TEST_TIMEOUT_SECONDS",
    Setting.EHLO_NAME: "MAILSETTINGS_SMTP_EHLO_NAME",
}
"""Settings of the service as a whole instead of a mail server, with their environment variables."""
