"""The names of the settings themselves, so that an error or a piece of advice can point at one."""

from enum import StrEnum


class Setting(StrEnum):
    """One thing an admin can set; each dialect has its own word for it."""

    AUTHENTICATION = "authentication"
    CERTIFICATE = "certificate"
    CLIENT_ID = "client id"
    CLIENT_SECRET = "client secret"
    HOST = "host"
    PASSWORD = "password"
    PORT = "port"
    RECIPIENT = "recipient"
    SECURITY = "connection security"
    SENDER_ADDRESS = "sender address"
    SENDER_NAME = "sender name"
    TENANT = "tenant"
    USERNAME = "user name"
