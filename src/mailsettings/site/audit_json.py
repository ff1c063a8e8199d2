"""Entries of the audit log as JSON, the same over HTTP and on the command line."""

import json
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from mailsettings.domain.audit_log import AuditEntry, AuditOutcome
from mailsettings.web.openapi import Int64


class AuditEntryModel(BaseModel):
    """Who did what to which thing, from where, and how it ended."""

    model_config = ConfigDict(frozen=True)

    sequence: Annotated[int, WithJsonSchema({**Int64, "minimum": 1})] = Field(
        description="Number of the entry; counts from 1 without a gap."
    )
    at: str = Field(
        description="When it happened, in UTC.",
        examples=["2026-11-21T10:15:30.123456Z"],
        json_schema_extra={"format": "date-time"},
    )
    actor: str | None = Field(description="Who did it; null where the caller is unknown.")
    address: str | None = Field(description="IP address of the caller; null on the command line.")
    request_id: str | None = Field(description="The request's `X-Request-ID`; null on the command line.")
    action: str = Field(description="What was done.", examples=["mail-server.replace"])
    target: str | None = Field(description="What it was done to.", examples=["mail-server:1"])
    outcome: Annotated[str, WithJsonSchema({"type": "string", "enum": [*AuditOutcome]})] = Field(
        description="How it ended."
    )
    details: dict[str, Any] = Field(
        description="What changed, with `before` and `after`. A secret is shown as a random label, which is new "
        "each time a request gives a secret."
    )
    hash: str = Field(description="Keyed hash over this entry and the one before, in hexadecimal.")


def entry_model(entry: AuditEntry) -> AuditEntryModel:
    """*entry* as it is shown."""
    record = entry.record
    return AuditEntryModel(
        sequence=entry.sequence,
        at=entry.at,
        actor=record.actor,
        address=record.origin.address,
        request_id=record.origin.request_id,
        action=record.action,
        target=record.target,
        outcome=record.outcome,
        details=dict(record.details),
        hash=entry.mac.hex(),
    )


def entry_json(entry: AuditEntry) -> str:
    """*entry* as one line of JSON in ASCII, which moves no terminal's cursor."""
    return json.dumps(entry_model(entry).model_dump())
