"""Examples of connection tests for the documents."""

import json
from typing import Any

STAGES: list[dict[str, Any]] = [
    {"stage": "resolve", "outcome": "passed", "milliseconds": 4, "note": "192.0.2.25"},
    {
        "stage": "connect",
        "outcome": "failed",
        "milliseconds": 25,
        "addresses": [
            {"address": "192.0.2.25", "outcome": "failed", "problem": "refused", "milliseconds": 25},
        ],
    },
]
REPORT: dict[str, Any] = {
    "succeeded": False,
    "milliseconds": 230,
    "stages": STAGES,
    "failure": {
        "code": "connection_refused",
        "stage": "connect",
        "title": "The connection was refused",
        "explanation": "no program listens on port 587 of mail.example.com.",
        "steps": ["Check the port."],
        "changes": [{"field": "port", "current": 587, "suggested": 465}],
    },
    "warnings": [],
}
SERVER: dict[str, Any] = {"id": 7, "name": "relay-berlin"}
REPORTS: dict[str, Any] = {"items": [{"mail_server": SERVER, "report": REPORT}]}


def _events(*events: tuple[str, dict[str, Any]]) -> str:
    return "".join(f"event: {name}\ndata: {json.dumps(data)}\n\n" for name, data in events)


EVENTS = _events(
    ("begun", {"stages": ["resolve", "connect"]}),
    ("stage", STAGES[0]),
    ("looking", {}),
    ("stage", STAGES[1]),
    ("done", REPORT),
)
SEVERAL_EVENTS = _events(
    ("mail_servers", {"items": [SERVER]}),
    ("begun", {"mail_server": SERVER, "stages": ["resolve", "connect"]}),
    ("stage", {"mail_server": SERVER, **STAGES[0]}),
    ("done", {"mail_server": SERVER, **REPORT}),
)
STORED: dict[str, dict[str, Any]] = {
    "Send a mail": {"value": {"recipient": "me@example.com"}},
    "As far as the login": {"value": {}},
}
_SETTINGS: dict[str, Any] = {
    "host": "mail.example.com",
    "port": 587,
    "security": "starttls",
    "sender": {"address": "reports@example.com"},
    "authentication": {"kind": "password", "username": "reports@example.com", "password": "correct horse battery"},
}
GIVEN: dict[str, dict[str, Any]] = {
    "Settings with a password": {"value": {"settings": _SETTINGS, "recipient": "me@example.com"}},
    "Settings with a stored password": {
        "value": {
            "settings": {
                **_SETTINGS,
                "authentication": {"kind": "password", "username": "reports@example.com"},
            },
            "based_on": "relay-berlin",
        }
    },
}
SEVERAL: dict[str, dict[str, Any]] = {
    "All": {"value": {}},
    "Those with a label": {"value": {"filter": {"label": ["site=berlin"]}, "recipient": "me@example.com"}},
}
