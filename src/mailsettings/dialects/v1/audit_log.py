"""The audit log: newest first with filters, and the check of its chain."""

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import Query, Request, Response
from pydantic import AfterValidator, BaseModel, Field, WithJsonSchema
from pydantic.json_schema import SkipJsonSchema

from mailsettings.dialects.v1.operations import NO_QUERY, example, json_response, new_router
from mailsettings.dialects.v1.paging import LINKED, PageQuery, page_response
from mailsettings.domain.access import Permission
from mailsettings.domain.audit_log import AuditEntry, AuditFilter, AuditOutcome, timestamp
from mailsettings.web.auth import current_principal
from mailsettings.web.dialect import use_cases
from mailsettings.web.openapi import Int64
from mailsettings.web.routing import requires_permission

PATH = "/v1/audit-log"
TAG = "Audit log"

router = new_router(TAG)


class AuditLogEntry(BaseModel):
    """One audited action: who did what, from where, and how it ended."""

    sequence: Annotated[int, WithJsonSchema({**Int64, "minimum": 1})] = Field(
        description="Number of the entry; counts from 1 without a gap."
    )
    at: Annotated[str, WithJsonSchema({"type": "string", "format": "date-time"})] = Field(
        description="When it happened."
    )
    actor: str | None = Field(description="Who did it; null where the caller is unknown.")
    address: str | None = Field(description="IP address of the caller; null on the command line.")
    request_id: str | None = Field(description="The `X-Request-ID` of the request; null on the command line.")
    action: str = Field(description="The action.")
    target: str | None = Field(description="The object of the action.")
    outcome: Annotated[str, WithJsonSchema({"type": "string", "enum": [*AuditOutcome]})] = Field(
        description="How it ended."
    )
    details: dict[str, Any] = Field(
        description="The changes, with `before` and `after`. A secret appears as a random label."
    )
    hash: str = Field(description="Keyed hash over this entry and the entry before it, in hexadecimal.")


class AuditLogPage(BaseModel):
    """A page of the audit log, newest first."""

    items: list[AuditLogEntry] = Field(description="The entries.")
    next_cursor: str | None = Field(description="Send it as `cursor` to get the next page; null on the last page.")


class AuditLogVerification(BaseModel):
    """The result of a check of the audit log."""

    intact: bool = Field(description="Whether every entry is as it was written.")
    problem: str | None = Field(description="The first fault, if any.")
    entries: Annotated[int, WithJsonSchema({**Int64, "minimum": 0})] = Field(
        description="How many entries were checked."
    )
    last: str | None = Field(
        description="Number and hash of the last entry. Keep it elsewhere: `mailsettings audit verify --seen` "
        "checks that the log still has this entry."
    )


def _as_timestamp(text: str) -> str:
    """Return a time or a day as the log stores times. Raises `ValueError`."""
    try:
        moment = datetime.fromisoformat(text)
        return timestamp(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
    except (ValueError, OverflowError):  # also before the year 1 or after 9999 in UTC
        raise ValueError("must be a time like 2026-11-21T10:00:00Z, or a day like 2026-11-21.") from None


Time = Annotated[str | SkipJsonSchema[None], AfterValidator(lambda text: text and _as_timestamp(text))]


def _known_outcome(text: str) -> str:
    if text not in set(AuditOutcome):
        raise ValueError(f"must be one of {', '.join(AuditOutcome)}.")
    return text


Outcome = Annotated[
    str | SkipJsonSchema[None],
    AfterValidator(lambda text: text and _known_outcome(text)),
    WithJsonSchema({"type": "string", "enum": [*AuditOutcome]}),
]


class AuditLogQuery(PageQuery):
    """The parameters of the audit log."""

    actor: Annotated[str | SkipJsonSchema[None], Field(max_length=255, description="Who did it.")] = None
    action: Annotated[
        str | SkipJsonSchema[None],
        Field(max_length=32, description="The action.", examples=["mail-server.replace"]),
    ] = None
    target: Annotated[
        str | SkipJsonSchema[None], Field(max_length=255, description="Its object.", examples=["mail-server:7"])
    ] = None
    outcome: Annotated[Outcome, Field(description="How it ended.", examples=["refused"])] = None
    since: Annotated[
        Time, Field(max_length=40, description="Leave out older entries.", examples=["2026-11-21T10:00:00Z"])
    ] = None
    until: Annotated[
        Time, Field(max_length=40, description="Leave out entries from this time on.", examples=["2026-11-22"])
    ] = None


_ENTRY = {
    "sequence": 12,
    "at": "2026-11-21T10:15:30.123456Z",
    "actor": "admin",
    "address": "192.0.2.7",
    "request_id": "4f0c1d7c2f5b4b0e9d0a3c6f1b2e8d90",
    "action": "mail-server.replace",
    "target": "mail-server:1",
    "outcome": "done",
    "details": {"port": {"before": 25, "after": 587}},
    "hash": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
}


@router.get(
    PATH,
    operation_id="list_audit_entries",
    summary="Read the audit log, newest first",
    response_description="A page of entries, newest first.",
    response_model=AuditLogPage,
    responses={200: {**example({"items": [_ENTRY], "next_cursor": None}), **LINKED[200]}},
)
@requires_permission(Permission.AUDIT_READ)
async def list_audit_entries(request: Request, query: Annotated[AuditLogQuery, Query()]) -> Response:
    """Return changes, tests, logins and refusals, newest first; an index serves each filter.

    The order is that of time. Where a clock was set back it differs from that of the numbers.
    """
    wanted = AuditFilter(query.actor, query.action, query.target, query.outcome, query.since, query.until)
    found = await use_cases(request).audit_log.newest(
        current_principal(request), wanted, query.after_number or None, query.limit + 1
    )
    return page_response(request, query, found, lambda entry: entry.sequence, _view)


@router.post(
    f"{PATH}/verify",
    operation_id="verify_audit_log",
    summary="Verify the audit log",
    response_description="What the check found.",
    response_model=AuditLogVerification,
    responses={
        200: example(
            {"intact": True, "problem": None, "entries": 12, "last": "12:9f86d081884c7d659a2feaa0c55ad015"}
        )
    },
    dependencies=[NO_QUERY],
)
@requires_permission(Permission.AUDIT_READ)
async def verify_audit_log(request: Request) -> Response:
    """Check that no entry was removed, altered or reordered, and that the log has the entry of its witness.

    It reads the whole log, which takes about a second for every 50,000 entries.
    """
    verdict = await use_cases(request).audit_log.verify(current_principal(request))
    last = f"{verdict.sequence}:{verdict.mac.hex()}" if verdict.sequence else None
    found = AuditLogVerification(
        intact=verdict.problem is None, problem=verdict.problem, entries=verdict.sequence, last=last
    )
    return json_response(found.model_dump())


def _view(entry: AuditEntry) -> dict[str, object]:
    record = entry.record
    return AuditLogEntry(
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
    ).model_dump()
