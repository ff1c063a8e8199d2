"""The names of the settings, for errors and suggestions that refer to one."""

from collections.abc import Mapping
from enum import StrEnum


class Setting(StrEnum):
    """A setting that an administrator can change; each dialect has its own name for it."""

    AUTHENTICATION = "authentication"
    CERTIFICATE = "certificate"
    CLIENT_ID = "client id"
    CLIENT_SECRET = "client secret"
    DEADLINE = "deadline"
    DEFAULT_CREDENTIALS = "default credentials"
    DESCRIPTION = "description"
    EHLO_NAME = "EHLO name"
    ENABLED = "enabled"
    HOST = "host"
    LABELS = "labels"
    NAME = "name"
    PASSWORD = "password"
    PORT = "port"
    RECIPIENT = "recipient"
    SECURITY = "connection security"
    SENDER_ADDRESS = "sender address"
    SENDER_NAME = "sender name"
    TENANT = "tenant"
    USERNAME = "user name"


SERVICE_SETTINGS: Mapping[Setting, str] = {
    Setting.DEADLINE: "MAILSETTINGS_SMTP_TEST_TIMEOUT_SECONDS",
    Setting.EHLO_NAME: "MAILSETTINGS_SMTP_EHLO_NAME",
}
"""Settings of the service as a whole instead of a mail server, with their environment variables."""
