"""The members of a connection test's report, the same in every API, and example reports for the documents."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, SerializeAsAny, WithJsonSchema
from pydantic.alias_generators import to_camel
from pydantic.json_schema import SkipJsonSchema

from mailsettings.domain import connection_test
from mailsettings.domain.observation import AddressOutcome
from mailsettings.web.openapi import Count, Int32, Int64

Absent = SkipJsonSchema[None]
"""Members without a value are left out of the JSON, so the documents have no null."""
_Milliseconds = Annotated[Count, Field(description="How long it took.")]


class _Shown(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


class ReplyShown(_Shown):
    """A reply of the mail server, its text cleaned and cut."""

    code: Annotated[int, WithJsonSchema(Int32), Field(description="Reply code (RFC 5321 4.2).")]
    enhanced_code: Annotated[str | Absent, Field(description="Enhanced status code (RFC 3463).")] = None
    text: Annotated[str, Field(description="The text after the codes.")]


class AddressShown(_Shown):
    """An attempt to connect to one address of the host."""

    address: Annotated[str, Field(description="The IP address.")]
    outcome: Annotated[
        str, Field(description="`connected`, `not needed`, `not tried`, or why the attempt failed.")
    ]
    milliseconds: _Milliseconds


class OwnAddressShown(AddressShown):
    """The same in the project's own JSON; `problem` is present if the attempt failed."""

    outcome: AddressOutcome
    problem: str | None


class GreetingShown(_Shown):
    """What the mail server says about itself in its answer to EHLO."""

    name: Annotated[str, Field(description="Its own name.")]
    extensions: Annotated[list[str], Field(description="Its extensions, such as `STARTTLS`.")]
    mechanisms: Annotated[list[str], Field(description="The login mechanisms that it offers.")]
    size_limit: Annotated[
        int | Absent, WithJsonSchema({**Int64, "minimum": 1}), Field(description="The largest message, in bytes.")
    ] = None


class CertificateShown(_Shown):
    """A certificate as the mail server presented it, trusted or not."""

    subject: Annotated[str, Field(description="Subject.")]
    names: Annotated[list[str], Field(description="The host names and addresses that it is valid for.")]
    issuer: Annotated[str, Field(description="Issuer.")]
    not_before: Annotated[datetime, Field(description="Start of its validity.")]
    not_after: Annotated[datetime, Field(description="End of its validity.")]
    days_left: Annotated[
        int, WithJsonSchema(Int32), Field(description="Whole days until it ends; negative after that.")
    ]
    sha256: Annotated[str, Field(description="SHA-256 fingerprint, in hexadecimal.")]
    pem: Annotated[str, Field(description="The certificate itself, to be sent as the one to trust.")]


class TLSShown(_Shown):
    """How the connection is encrypted."""

    version: Annotated[str, Field(description="Protocol version.")]
    cipher: Annotated[str, Field(description="Cipher suite.")]
    chain: Annotated[list[CertificateShown], Field(description="The server's own certificate comes first.")]


class StageShown(_Shown):
    """One stage of a connection test; members that do not belong to the stage are left out."""

    stage: Annotated[connection_test.ProbeStage, Field(description="Which stage.")]
    outcome: Annotated[connection_test.Outcome, Field(description="How it ended.")]
    milliseconds: _Milliseconds
    note: Annotated[str | Absent, Field(description="What was found, in words.")] = None
    reply: Annotated[ReplyShown | Absent, Field(description="The last reply of the mail server.")] = None
    addresses: Annotated[
        list[SerializeAsAny[AddressShown]] | Absent, Field(description="The attempts to connect.")
    ] = None
    greeting: Annotated[GreetingShown | Absent, Field(description="What the mail server says about itself.")] = (
        None
    )
    tls: Annotated[TLSShown | Absent, Field(description="The encryption, and who the server is.")] = None
    mechanism: Annotated[str | Absent, Field(description="The login mechanism that was used.")] = None


class ChangeShown(_Shown):
    """A setting to look at; values that are secret or unknown are left out."""

    field: Annotated[str, Field(description="The setting, by its name in this API.")]
    current: Annotated[str | int | Absent, Field(description="Its value in this test.")] = None
    suggested: Annotated[str | int | Absent, Field(description="The value to try instead.")] = None


class FailureShown(_Shown):
    """Why the test failed, and what to do."""

    code: Annotated[
        connection_test.FailureCode, Field(description="Stable name of the failure, meant for programs.")
    ]
    stage: Annotated[connection_test.ProbeStage, Field(description="The stage that failed.")]
    title: Annotated[str, Field(description="The failure in a few words.")]
    explanation: Annotated[str, Field(description="What happened and why.")]
    steps: Annotated[list[str], Field(description="What to do, in order.")]
    changes: Annotated[list[ChangeShown], Field(description="The settings to look at.")]
    reply: Annotated[ReplyShown | Absent, Field(description="The reply that refused it.")] = None


class WarningShown(_Shown):
    """Something that works and should be improved."""

    code: Annotated[
        connection_test.WarningCode, Field(description="Stable name of the warning, meant for programs.")
    ]
    explanation: Annotated[str, Field(description="What to improve and why.")]
    field: Annotated[str | Absent, Field(description="The setting, by its name in this API.")] = None


class ConnectionTestReport(_Shown):
    """What a connection test found, stage by stage."""

    succeeded: Annotated[bool, Field(description="Whether every stage passed.")]
    milliseconds: _Milliseconds
    stages: Annotated[list[StageShown], Field(description="The stages in order.")]
    failure: Annotated[FailureShown | Absent, Field(description="Present if the test failed.")] = None
    warnings: Annotated[list[WarningShown], Field(description="What works and should be improved.")]


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
            "steps": ["Check the user name; many servers expect the whole mail address."],
            "changes": [{"field": field}],
            "reply": reply,
        },
        "warnings": [],
    }
