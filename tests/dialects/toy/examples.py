"""Examples for the documentation; the tests of all dialects send them."""

from typing import Any

NEW: dict[str, Any] = {
    "host": "smtp.example.com",
    "port": 587,
    "securityProtocol": "STARTTLS",
    "fromAddress": "sender@example.com",
    "fromName": "Quality reports",
    "username": "sender@example.com",
    "basicPassword": "correct horse battery",
}
VIEW: dict[str, Any] = {
    **{name: value for name, value in NEW.items() if name != "basicPassword"},
    "id": "1",
}
LIST: dict[str, Any] = {"emailConfigurations": [VIEW]}
PATCH: dict[str, Any] = {"fromName": "Quality"}
