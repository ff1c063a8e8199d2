"""Entries of the audit log as JSON, the same over HTTP and on the command line."""

import json
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from mailsettings.domain.audit import AuditEntry


class AuditEntryModel(BaseModel):
    """Who did what to which thing, from where, and how it ended."""

    model_config = ConfigDict(frozen=True)

    sequence: int = Field(description="Counts from 1 without a gap.")
    at: str = Field(description="When, in UTC.", examples=["2026-11-21T10:15:30.123456Z"])
    actor: str | None = Field(description="Who; null for nobody known.")
    address: str | None = Field(description="From which address; null on the command line.")
    request_id: str | None = Field(description="The request's `X-Request-ID`.")
    action: str = Field(description="What was done.", examples=["mail-server.replace"])
    target: str | None = Field(description="To what.", examples=["mail-server:1"])
    outcome: str = Field(description="`begun`, `done`, `failed` or `refused`.")
    details: dict[str, Any] = Field(
        description="What changed, with `before` and `after`. A secret is shown as a random label, which is new "
        "each time a request gives a secret."
    )
    hash: str = Field(description="Over this entry and the one before, by a key of the service.")


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
