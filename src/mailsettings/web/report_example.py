"""Reports for the documentation: a test that passed, with everything that it can show, and one that failed."""

from typing import Any

PASSED_REPORT: dict[str, Any] = {
    "succeeded": True,
    "milliseconds": 312,
    "stages": [
        {"stage": "resolve", "outcome": "passed", "milliseconds": 4, "note": "192.0.2.25"},
        {
            "stage": "connect",
            "outcome": "passed",
            "milliseconds": 25,
            "addresses": [{"address": "192.0.2.25", "outcome": "connected", "milliseconds": 25}],
        },
        {
            "stage": "greet",
            "outcome": "passed",
            "milliseconds": 50,
            "reply": {"code": 250, "text": "mail.example.org PIPELINING SIZE 35882577 STARTTLS"},
            "greeting": {
                "name": "mail.example.org",
                "extensions": ["PIPELINING", "SIZE", "STARTTLS"],
                "mechanisms": [],
                "sizeLimit": 35882577,
            },
        },
        {
            "stage": "secure",
            "outcome": "passed",
            "milliseconds": 78,
            "tls": {
                "version": "TLSv1.3",
                "cipher": "TLS_AES_256_GCM_SHA384",
                "chain": [
                    {
                        "subject": "CN=mail.example.org",
                        "names": ["mail.example.org"],
                        "issuer": "CN=Example Authority",
                        "notBefore": "2026-01-01T00:00:00Z",
                        "notAfter": "2027-01-01T00:00:00Z",
                        "daysLeft": 120,
                        "sha256": "3f1d0c8a" * 8,
                        "pem": "-----BEGIN CERTIFICATE-----\n...\n-----END CERTIFICATE-----\n",
                    }
                ],
            },
        },
        {
            "stage": "authenticate",
            "outcome": "passed",
            "milliseconds": 51,
            "mechanism": "PLAIN",
            "reply": {"code": 235, "enhancedCode": "2.7.0", "text": "Authentication successful"},
        },
        {
            "stage": "sender",
            "outcome": "passed",
            "milliseconds": 26,
            "reply": {"code": 250, "enhancedCode": "2.1.0", "text": "Ok"},
        },
        {
            "stage": "recipient",
            "outcome": "passed",
            "milliseconds": 0,
            "reply": {"code": 250, "enhancedCode": "2.1.5", "text": "Ok"},
        },
        {
            "stage": "content",
            "outcome": "passed",
            "milliseconds": 78,
            "reply": {"code": 250, "enhancedCode": "2.0.0", "text": "Ok: queued"},
        },
    ],
    "warnings": [],
}


def failed_report(field: str) -> dict[str, Any]:
    """Return the report of a refused login; *field* is the API's name of the password."""
    stages: list[dict[str, Any]] = PASSED_REPORT["stages"]
    reply = {"code": 535, "enhancedCode": "5.7.8", "text": "Authentication credentials invalid"}
    return {
        "succeeded": False,
        "milliseconds": 230,
        "stages": [
            *stages[:4],
            {
                "stage": "authenticate",
                "outcome": "failed",
                "milliseconds": 51,
                "mechanism": "PLAIN",
                "reply": reply,
            },
        ],
        "failure": {
            "code": "smtp_auth_failed",
            "stage": "authenticate",
            "title": "The login was refused",
            "explanation": "the server rejected this user name with this password.",
            "steps": ["Check the user name; many servers want the whole mail address."],
            "changes": [{"field": field}],
            "reply": reply,
        },
        "warnings": [],
    }
