"""Examples for the documentation, after the vendor's samples."""

from typing import Any

VIEW: dict[str, Any] = {
    "id": 1,
    "host": "pod55017.outlook.com",
    "port": 521,
    "encryptionType": "Tls",
    "fromAddress": "sender@example.com",
    "useDefaultCredentials": False,
    "username": "sender@example.com",
    "displayName": "Scan results",
}
STARTTLS: dict[str, Any] = {
    "host": "pod55017.outlook.com",
    "port": 587,
    "encryptionType": "Tls",
    "fromAddress": "sender@example.com",
    "useDefaultCredentials": False,
    "username": "sender@example.com",
    "password": "correct horse battery",
}
IMPLICIT_TLS: dict[str, Any] = {
    **STARTTLS,
    "port": 465,
    "encryptionType": "Ssl",
    "displayName": "Scan results",
}
NO_ENCRYPTION: dict[str, Any] = {
    "host": "relay.example.com",
    "port": 25,
    "encryptionType": "None",
    "fromAddress": "sender@example.com",
    "useDefaultCredentials": False,
}

SETTINGS: dict[str, dict[str, Any]] = {
    "STARTTLS with a login": {"value": STARTTLS},
    "TLS from the first byte": {"value": IMPLICIT_TLS},
    "No encryption, no login": {"value": NO_ENCRYPTION},
}
TESTS: dict[str, dict[str, Any]] = {
    "Send a mail": {"value": {**STARTTLS, "recieverEmail": "receiver@example.com"}},
    "Log in only": {"value": IMPLICIT_TLS},
    "No encryption, no login": {"value": {**NO_ENCRYPTION, "recieverEmail": "receiver@example.com"}},
}
