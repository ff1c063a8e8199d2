"""Good bodies of both APIs, all about one destination, with the secret that a test gives them."""

from typing import Any

HOST = "mail-server.com"
PORT = 587
USERNAME = "mailer"


def oracle(password: str) -> dict[str, Any]:
    """A login by user name and password, over STARTTLS."""
    return _oracle({"authType": "USERNAME_PASSWORD_AUTH", "username": USERNAME, "password": password})


def oracle_oauth2(secret: str) -> dict[str, Any]:
    """A login by OAuth2."""
    details = {
        "oAuth2Provider": "MS_OAUTH2",
        "clientId": "client",
        "secret": secret,
        "tenant": "tenant.example",
        "username": USERNAME,
    }
    return _oracle({"authType": "OAUTH2_AUTH", "oAuth2Details": details})


def checkmarx(password: str) -> dict[str, Any]:
    """The same as `oracle`, in the other API's words."""
    return {
        "host": HOST,
        "port": PORT,
        "encryptionType": "Tls",
        "fromAddress": "john.smith@myorg.com",
        "useDefaultCredentials": False,
        "username": USERNAME,
        "password": password,
        "displayName": "John Smith",
    }


def checkmarx_test(password: str) -> dict[str, Any]:
    """What to test, and who is to get the mail."""
    return {**checkmarx(password), "recieverEmail": "to@example.org"}


def _oracle(auth: dict[str, Any]) -> dict[str, Any]:
    return {
        "host": HOST,
        "port": PORT,
        "sender": {"displayName": "John Smith", "emailAddress": "john.smith@myorg.com"},
        "auth": auth,
        "connectionSecurity": {
            "connectionSecurityType": "START_TLS_CONNECTION_SECURITY",
            "tlsCertificateDetails": {"certificateType": "DEFAULT_TLS_CERTIFICATE"},
        },
    }
