"""The names of the settings themselves, so that an error or a piece of advice can point at one."""

from collections.abc import Mapping
from enum import StrEnum


class Setting(StrEnum):
    """One thing an admin can set; each dialect has its own word for it."""

    AUTHENTICATION = "authentication"
    CERTIFICATE = "certificate"
    CLIENT_ID = "client id"
    CLIENT_SECRET = "client secret"
    DEADLINE = "deadline"
    DEFAULT_CREDENTIALS = "default credentials"
    EHLO_NAME = "EHLO name"
    HOST = "host"
    PASSWORD = "password"
    PORT = "port"
    RECIPIENT = "recipient"
    SECURITY = "connection security"
    SENDER_ADDRESS = "sender address"
    SENDER_NAME = "sender name"
    TENANT = "tenant"
    USERNAME = "user name"


SERVICE_SETTINGS: Mapping[Setting, str] = {
    Setting.DEADLINE: "MAILSETTINGS_SMTP_DEADLINE_SECONDS",
    Setting.EHLO_NAME: "MAILSETTINGS_SMTP_EHLO_NAME",
}
"""What no mail server's settings hold: whoever runs the service sets it, under this name."""
