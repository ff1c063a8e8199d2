"""One example for every variant of the unions, for the documentation; the first is the vendor's own."""

from typing import Any

from mailsettings.web.report_schema import failed_report

SENDER = {"displayName": "John Smith", "emailAddress": "john.smith@myorg.com"}
DEFAULT_CERTIFICATE = {"certificateType": "DEFAULT_TLS_CERTIFICATE"}

NO_AUTH: dict[str, Any] = {
    "host": "mail-server.com",
    "port": 25,
    "sender": SENDER,
    "auth": {"authType": "NO_AUTH"},
    "connectionSecurity": {"connectionSecurityType": "NO_CONNECTION_SECURITY"},
}
USERNAME_PASSWORD: dict[str, Any] = {
    "host": "mail-server.com",
    "port": 587,
    "sender": SENDER,
    "auth": {
        "authType": "USERNAME_PASSWORD_AUTH",
        "username": "john.smith@myorg.com",
        "password": "correct horse battery",
    },
    "connectionSecurity": {
        "connectionSecurityType": "START_TLS_CONNECTION_SECURITY",
        "tlsCertificateDetails": DEFAULT_CERTIFICATE,
    },
}
OAUTH2: dict[str, Any] = {
    "host": "smtp.office365.com",
    "port": 587,
    "sender": SENDER,
    "auth": {
        "authType": "OAUTH2_AUTH",
        "oAuth2Details": {
            "oAuth2Provider": "MS_OAUTH2",
            "clientId": "11111111-2222-3333-4444-555555555555",
            "tenant": "myorg.onmicrosoft.com",
            "username": "john.smith@myorg.com",
            "secret": "the client secret",
        },
    },
    "connectionSecurity": {
        "connectionSecurityType": "START_TLS_CONNECTION_SECURITY",
        "tlsCertificateDetails": DEFAULT_CERTIFICATE,
    },
}
# A self-signed certificate for mail.example.org, made for this project; its private key was deleted.
CERTIFICATE = """-----BEGIN CERTIFICATE-----
MIIBRjCB7KADAgECAgEBMAoGCCqGSM49BAMCMBsxGTAXBgNVBAMMEG1haWwuZXhh
bXBsZS5vcmcwIBcNMjYwMTAxMDAwMDAwWhgPMjEyNjAxMDEwMDAwMDBaMBsxGTAX
BgNVBAMMEG1haWwuZXhhbXBsZS5vcmcwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNC
AARdBH0U651LNoTtoM+ME04Nkpxkd552wYkQICAc+2oY/8F6ntf/zrJnr4HWxAyA
tBJU0BChIAmY54tsf6dSwGnrox8wHTAbBgNVHREEFDASghBtYWlsLmV4YW1wbGUu
b3JnMAoGCCqGSM49BAMCA0kAMEYCIQDZ62m4oMjAD+umj0dl1Jb1aFTxi6l9d1mb
2rx7gvKoJwIhANnCFxb4TPTW6D4Y4U6+WG2wcxDHUlcP2il0CoiJMHMm
-----END CERTIFICATE-----
"""
CUSTOM_CERTIFICATE: dict[str, Any] = {
    **NO_AUTH,
    "port": 465,
    "connectionSecurity": {
        "connectionSecurityType": "SSL_TLS_CONNECTION_SECURITY",
        "tlsCertificateDetails": {
            "certificateType": "CUSTOM_TLS_CERTIFICATE",
            "certificate": CERTIFICATE,
        },
    },
}

MAIL_SERVERS: dict[str, dict[str, Any]] = {
    "No login, no encryption": {"value": NO_AUTH},
    "User name and password, STARTTLS": {"value": USERNAME_PASSWORD},
    "Microsoft OAuth2, STARTTLS": {"value": OAUTH2},
    "TLS from the first byte, custom certificate": {"value": CUSTOM_CERTIFICATE},
}

TESTS: dict[str, dict[str, Any]] = {
    "Send a mail": {"value": {"recipient": "me@example.com"}},
    "As far as the login": {"value": {}},
}
FAILED_TEST: dict[str, Any] = {
    "code": "MailServerTestFailed",
    "message": "Logging in failed: the server rejected this user name with this password. "
    "The server replied: 535 5.7.8 Authentication credentials invalid. (Setting: auth.password)",
    "report": failed_report("auth.password"),
}
