"""Examples for the documentation, after the vendor's samples."""

from typing import Any

from mailsettings.web.report_schema import failed_report

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
FAILED_TEST: dict[str, Any] = {
    "message": "Logging in failed: the server rejected this user name with this password. "
    "The server replied: 535 5.7.8 Authentication credentials invalid. (Setting: password)",
    "report": failed_report("password"),
}
TOKEN: dict[str, Any] = {
    "access_token": "eyJhbGciOiJFUzI1NiIsImtpZCI6IjVmMmM5YTBiMzFkZWMwN2QifQ.e30.signature",
    "expires_in": 3600,
    "token_type": "Bearer",
    "scope": "sast_rest_api",
}
DISCOVERY: dict[str, Any] = {
    "issuer": "mailsettings",
    "jwks_uri": "https://mail-settings.example.com/cxrestapi/auth/identity/.well-known/openid-configuration/jwks",
    "token_endpoint": "https://mail-settings.example.com/cxrestapi/auth/identity/connect/token",
    "grant_types_supported": ["password", "client_credentials"],
    "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
}
KEYS: dict[str, Any] = {
    "keys": [
        {
            "kty": "EC",
            "crv": "P-256",
            "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
            "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM",
            "kid": "5f2c9a0b31dec07d",
            "use": "sig",
            "alg": "ES256",
        }
    ]
}
