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
    "default": True,
    "host": "mail.example.com",
    "port": 587,
    "security": "starttls",
    "trust": {"kind": "system"},
    "sender": {"address": "reports@example.com", "name": "Reports"},
    "authentication": {
        "kind": "password",
        "username": "reports@example.com",
        "password": {"stored": True, "label": "a00298ed51f2", "expires_on": "2027-05-31"},
    },
    "version": 3,
    "created_by": "admin",
    "created_through": "v1",
    "changed_at": "2026-11-21T10:15:30.123456Z",
    "changed_by": "admin",
    "health": HEALTH,
}
PAGE: dict[str, Any] = {"items": [VIEW], "next_cursor": "YWZ0ZXI6Nw"}
