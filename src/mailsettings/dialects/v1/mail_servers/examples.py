"""Examples of mail servers for the documents; FastAPI drops every null from them."""

from typing import Any

HEALTH: dict[str, Any] = {
    "state": "failing",
    "since": "2026-11-21T10:15:30Z",
    "checked_at": "2026-11-27T10:15:30Z",
    "failure": "smtp_auth_failed",
    "certificate_expires_at": "2027-03-01T00:00:00Z",
    "secret_expires_on": "2027-05-31",
}
VIEW: dict[str, Any] = {
    "id": 7,
    "name": "relay-berlin",
    "description": "Relay of the Berlin office",
    "labels": {"site": "berlin"},
    "enabled": True,
    "default": True,
    "host": "mail.example.com",
    "port": 587,
    "security": "starttls",
    "trust": {"kind": "system"},
    "sender": {"address": "reports@example.com", "name": "Reports"},
    "authentication": {
        "kind": "password",
        "username": "reports@example.com",
        "password": {
            "stored": True,
            "label": "a00298ed51f2",
            "stored_at": "2026-11-21T10:15:30Z",
            "expires_on": "2027-05-31",
        },
    },
    "version": 3,
    "created_by": "admin",
    "created_through": "v1",
    "changed_at": "2026-11-21T10:15:30.123456Z",
    "changed_by": "admin",
    "health": HEALTH,
}
PAGE: dict[str, Any] = {"items": [VIEW], "next_cursor": "YWZ0ZXI6Nw"}
_PASSWORD: dict[str, Any] = {
    "name": "relay-berlin",
    "description": "Relay of the Berlin office",
    "labels": {"site": "berlin"},
    "host": "mail.example.com",
    "port": 587,
    "security": "starttls",
    "sender": {"address": "reports@example.com", "name": "Reports"},
    "authentication": {
        "kind": "password",
        "username": "reports@example.com",
        "password": "correct horse battery",
    },
}
_OAUTH2: dict[str, Any] = {
    "name": "microsoft-365",
    "host": "smtp.office365.com",
    "sender": {"address": "reports@example.com"},
    "authentication": {
        "kind": "oauth2_client_credentials",
        "username": "reports@example.com",
        "tenant": "example.onmicrosoft.com",
        "client_id": "11111111-2222-3333-4444-555555555555",
        "client_secret": "the client secret",
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
_OWN_AUTHORITY: dict[str, Any] = {
    "host": "mail.example.org",
    "security": "implicit_tls",
    "trust": {"kind": "certificates", "pem": CERTIFICATE},
    "sender": {"address": "reports@example.org"},
    "authentication": {"kind": "none"},
}
_MACHINE: dict[str, Any] = {
    "host": "mail.example.net",
    "security": "none",
    "trust": {"kind": "system"},
    "sender": {"address": "reports@example.net"},
    "authentication": {"kind": "machine"},
}
NEW: dict[str, dict[str, Any]] = {
    "User name and password": {"value": _PASSWORD},
    "Microsoft OAuth2": {"value": _OAUTH2},
    "A private authority": {"value": _OWN_AUTHORITY},
    "The machine's credentials": {"value": _MACHINE},
}
PATCHES: dict[str, dict[str, Any]] = {
    "A note": {"value": {"description": "Relay of the Berlin office"}},
    "A new password": {"value": {"authentication": {"password": "a new password"}}},
    "Another port": {"value": {"port": 465, "security": "implicit_tls"}},
}
CHOICES: dict[str, dict[str, Any]] = {
    "By id": {"value": {"id": 1}},
    "By name": {"value": {"name": "relay-berlin"}},
}
EXPIRY: dict[str, dict[str, Any]] = {"A day": {"value": {"expires_on": "2027-05-31"}}}
_CHANGES: list[dict[str, Any]] = [
    {"field": "port", "before": 587, "after": 465},
    {"field": "security", "before": "starttls", "after": "implicit_tls"},
]
VERSIONS: dict[str, Any] = {
    "items": [
        {
            "version": 3,
            "name": "relay-berlin",
            "enabled": True,
            "removed": False,
            "changed_at": "2026-11-21T10:15:30.123456Z",
            "changed_by": "admin",
            "secret": "replaced",
            "changes": _CHANGES,
        }
    ],
    "next_cursor": "YWZ0ZXI6Mw",
}
DIFFERENCE: dict[str, Any] = {"from_version": 2, "to_version": 3, "changes": _CHANGES}
