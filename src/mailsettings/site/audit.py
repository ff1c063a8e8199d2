"""The audit log over HTTP, and its entries as JSON, the same over HTTP and on the command line."""

import json
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema
from pydantic.json_schema import SkipJsonSchema

from mailsettings.domain.access import Permission
from mailsettings.domain.audit_log import AuditEntry, AuditOutcome
from mailsettings.site.own_api import ERRORS, STYLE
from mailsettings.web.auth import current_principal
from mailsettings.web.dialect import Dialect, use_cases
from mailsettings.web.negotiation import NO_STORE
from mailsettings.web.normalization import paths_below
from mailsettings.web.openapi import Int64, Responses
from mailsettings.web.routing import StrictRoute, requires_permission


class AuditEntryModel(BaseModel):
    """One audited action: actor, origin, action, target and outcome."""

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
    action: str = Field(description="The action.", examples=["mail-server.replace"])
    target: str | None = Field(description="The object of the action.", examples=["mail-server:1"])
    outcome: Annotated[str, WithJsonSchema({"type": "string", "enum": [*AuditOutcome]})] = Field(
        description="How it ended."
    )
    details: dict[str, Any] = Field(
        description="The changes, with `before` and `after`. A secret appears as a random label; each "
        "request that sets a secret creates a new label."
    )
    hash: str = Field(description="Keyed hash over this entry and the entry before it, in hexadecimal.")


def entry_model(entry: AuditEntry) -> AuditEntryModel:
    """Return the JSON model of *entry*."""
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
    """Return *entry* as one line of JSON in ASCII, without control characters for a terminal."""
    return json.dumps(entry_model(entry).model_dump())


PATH = "/audit"
_TAG = "Audit log"
MAX_ENTRIES = 1000


class AuditPage(BaseModel):
    """A page of entries, oldest first."""

    entries: list[AuditEntryModel] = Field(description="The entries, oldest first.")
    next_after: Annotated[int, WithJsonSchema(Int64)] | None = Field(
        description="Send it as `after` to get the next page; null on the last page."
    )


router = APIRouter(route_class=StrictRoute, tags=[_TAG], responses=ERRORS)

Since = Annotated[
    str | SkipJsonSchema[None],
    Query(
        pattern=r"^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?Z?)?$",
        description="Leave out entries that are older: a date, or a time in UTC.",
        examples=["2026-11-21T10:00"],
    ),
]


After = Annotated[
    int,
    Query(
        ge=0,
        le=2**53,
        json_schema_extra={"format": "int64"},
        description="Leave out entries up to this sequence number.",
        examples=[12],
    ),
]
Limit = Annotated[
    int,
    Query(
        ge=1,
        le=MAX_ENTRIES,
        json_schema_extra={"format": "int32"},
        description="The largest number of entries to return.",
        examples=[100],
    ),
]
_EXAMPLE = {
    "entries": [
        {
            "sequence": 12,
            "at": "2026-11-21T10:15:30.123456Z",
            "actor": "admin",
            "address": "192.0.2.7",
            "request_id": "4f0c1d7c2f5b4b0e9d0a3c6f1b2e8d90",
            "action": "mail-server.replace",
            "target": "mail-server:1",
            "outcome": "done",
            "details": {
                "port": {"before": 25, "after": 587},
                "password": {"before": "5f2c9a0b31de", "after": "c07d41e8a29f"},
            },
            "hash": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        }
    ],
    "next_after": 12,
}
_PAGE: Responses = {200: {"content": {"application/json": {"example": _EXAMPLE}}}}


@router.get(
    PATH,
    operation_id="listAuditEntries",
    summary="Read the audit log",
    response_description="The entries, oldest first.",
    response_model=AuditPage,
    responses=_PAGE,
)
@requires_permission(Permission.AUDIT_READ)
async def read_audit_log(
    request: Request,
    since: Since = None,
    after: After = 0,
    limit: Limit = 100,
) -> Response:
    """Return every change, test, login and refusal, oldest first. Needs the permission `view-audit-log`."""
    found = await use_cases(request).audit_log.page(
        current_principal(request), after, limit, (since or "").removesuffix("Z")
    )
    more = found[-1].sequence if len(found) == limit else None
    page = AuditPage(entries=[entry_model(entry) for entry in found], next_after=more)
    return Response(page.model_dump_json(), media_type="application/json", headers=NO_STORE)


AUDIT = Dialect(
    name="audit",
    title="Audit log",
    description="Every change, test, login and refusal.",
    routers=[router],
    errors=STYLE,
    match_path=paths_below(PATH),
    tags={_TAG: "Read who changed, tested and logged in to what, and when."},
    grants={"view-audit-log": frozenset({Permission.AUDIT_READ})},
)
