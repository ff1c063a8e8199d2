"""The audit log over HTTP: our own API beside the vendors'."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field

from mailsettings.domain.access import Permission
from mailsettings.site.audit_json import AuditEntryModel, entry_model
from mailsettings.site.own_apis import ERRORS, STYLE
from mailsettings.web.dialect import Dialect, use_cases
from mailsettings.web.principal import caller
from mailsettings.web.routing import StrictRoute, needs
from mailsettings.web.spelling import below

PATH = "/audit"
MOST = 1000


class AuditPage(BaseModel):
    """Some entries, oldest first."""

    entries: list[AuditEntryModel]
    next_after: int | None = Field(description="Give it as `after` to go on; null at the end.")


router = APIRouter(route_class=StrictRoute, tags=["Audit log"], responses=ERRORS)

Since = Annotated[
    str | None,
    Query(
        pattern=r"^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?Z?)?$",
        description="Leave out what is older; a date, or a time in UTC.",
        examples=["2026-11-21T10:00"],
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
_PAGE: dict[int | str, dict[str, Any]] = {200: {"content": {"application/json": {"example": _EXAMPLE}}}}


@router.get(PATH, summary="Read the audit log", response_model=AuditPage, responses=_PAGE)
@needs(Permission.AUDIT_READ)
async def read_audit_log(
    request: Request,
    since: Since = None,
    after: Annotated[int, Query(ge=0, le=2**53, description="Leave out entries up to this number.")] = 0,
    limit: Annotated[int, Query(ge=1, le=MOST, description="How many entries at most.")] = 100,
) -> Response:
    """Every change, test, login and refusal, oldest first. Needs the permission `view-audit-log`."""
    found = await use_cases(request).audit_log.page(caller(request), after, limit, (since or "").removesuffix("Z"))
    more = found[-1].sequence if len(found) == limit else None
    page = AuditPage(entries=[entry_model(entry) for entry in found], next_after=more)
    return Response(page.model_dump_json(), media_type="application/json", headers={"Cache-Control": "no-store"})


AUDIT = Dialect(
    name="audit",
    title="Audit log",
    description="Every change, test, login and refusal.",
    routers=[router],
    errors=STYLE,
    own_path=below(PATH),
    grants={"view-audit-log": frozenset({Permission.AUDIT_READ})},
)
