"""The path operations of the SMTP settings: parse, call, translate, answer."""

import re
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Path, Request, Response
from pydantic import WithJsonSchema

from mailsettings.dialects.checkmarx import examples, listing, translate
from mailsettings.dialects.checkmarx import schemas as wire
from mailsettings.dialects.checkmarx.errors import STYLE
from mailsettings.dialects.checkmarx.paths import SETTINGS
from mailsettings.dialects.checkmarx.version import MEDIA_TYPE, require_version
from mailsettings.domain.access import Permission
from mailsettings.domain.errors import MailServerNotFound
from mailsettings.domain.probe import ProbeReport
from mailsettings.domain.replacement import Replacement
from mailsettings.web.conditions import Expected, IfChanged, entity_tag, not_modified, unchanged
from mailsettings.web.dialect import use_cases
from mailsettings.web.idempotency import OnceOnly
from mailsettings.web.pieces import in_pieces
from mailsettings.web.preference import Prefer, prefers_representation
from mailsettings.web.principal import caller
from mailsettings.web.refusals import ParameterInvalid
from mailsettings.web.report import report_json
from mailsettings.web.report_example import REPORT
from mailsettings.web.report_schema import ConnectionTestReport
from mailsettings.web.routing import StrictRoute, needs

HIGHEST_ID = 2**31 - 1  # the generated client reads an int32
_NUMBER = re.compile(r"0|[1-9][0-9]*")
_NO_STORE = {"Cache-Control": "no-store"}
_ERRORS: dict[int | str, dict[str, Any]] = {
    400: {"model": wire.ErrorViewModel, "description": "Something in the request is wrong."},
    401: {"model": wire.ErrorViewModel, "description": "No access token, or one that is not good."},
    403: {"model": wire.ErrorViewModel, "description": "The access token does not allow this."},
    "default": {"model": wire.ErrorViewModel, "description": "Any other refusal, in the same shape."},
}
_NOT_FOUND: dict[int | str, dict[str, Any]] = {
    404: {"model": wire.ErrorViewModel, "description": "No settings are stored under this id."}
}
_CHANGED: dict[int | str, dict[str, Any]] = {
    412: {"model": wire.ErrorViewModel, "description": "They were changed meanwhile; the message says by whom."}
}
_UNCHANGED: dict[int | str, dict[str, Any]] = {304: {"description": "As you have it."}}
_REPEATED: dict[int | str, dict[str, Any]] = {
    409: {
        "model": wire.ErrorViewModel,
        "description": "The key was sent before, and there is no answer to repeat.",
    }
}
_TEST_RESULTS: dict[int | str, dict[str, Any]] = {
    200: {"model": ConnectionTestReport, "content": {"application/json": {"example": REPORT}}},
    400: {"model": wire.FailedTestModel, "description": "It does not work, or the request is wrong."},
    **_REPEATED,
}

router = APIRouter(
    route_class=StrictRoute,
    strict_content_type=False,  # one client sends JSON without any Content-Type
    tags=["Checkmarx: SMTP settings"],
    responses=_ERRORS,
    dependencies=[Depends(require_version)],
)


_IdText = Annotated[
    str,
    Path(description="Unique Id of the SMTP settings"),
    # Documented as what it is; read as text, so that +1, 1.0 and 01 are not taken for it.
    WithJsonSchema({"type": "integer", "format": "int32", "minimum": 1, "maximum": HIGHEST_ID}),
]


def _settings_id(id: _IdText) -> int:  # noqa: A002  # the vendor's name
    if not _NUMBER.fullmatch(id):
        raise ParameterInvalid("id must be a whole number.")
    if len(id) > len(str(HIGHEST_ID)) or not 1 <= int(id) <= HIGHEST_ID:
        raise MailServerNotFound
    return int(id)


SettingsId = Annotated[int, Depends(_settings_id)]


@router.get(
    SETTINGS,
    summary="Get all SMTP settings",
    response_model=list[wire.SMTPSettingsViewModel],
    responses={200: {"content": {"application/json": {"example": [examples.VIEW]}}}},
)
@needs(Permission.MAIL_SERVERS_READ)
async def list_settings(request: Request) -> Response:
    """All SMTP settings, by id; passwords are never shown."""
    page = partial(use_cases(request).mail_servers.page, caller(request))
    return await in_pieces(listing.as_json(page), MEDIA_TYPE, _NO_STORE)


@router.post(
    SETTINGS,
    summary="Create SMTP settings",
    status_code=201,
    response_class=Response,
    response_description="Created; the header Location says where.",
    responses=_REPEATED,
)
@needs(Permission.MAIL_SERVERS_WRITE)
async def create_settings(
    request: Request,
    settings: Annotated[wire.CreateSMTPSettingsModel, Body(openapi_examples=examples.SETTINGS)],
    once: OnceOnly,
) -> Response:
    """Store new SMTP settings."""
    wanted = Replacement(translate.to_domain(settings))
    settings_id = await use_cases(request).mail_servers.create(caller(request), wanted, once)
    base = use_cases(request).public_url or str(request.base_url)
    return Response(status_code=201, headers={"Location": f"{base.rstrip('/')}{SETTINGS}/{settings_id}"})


@router.post(
    f"{SETTINGS}/testconnection",
    summary="Test SMTP connection",
    response_class=Response,
    response_description="It works: the mail was accepted, or the login where no receiver was given.",
    responses=_TEST_RESULTS,
)
@needs(Permission.MAIL_SERVERS_TEST)
async def run_test_connection(
    request: Request,
    settings: Annotated[wire.TestConnectionModel, Body(openapi_examples=examples.TESTS)],
    once: OnceOnly,
    prefer: Prefer = None,
) -> Response:
    """Connect, secure, log in, and send one mail to the receiver.

    The settings in the body are tested as they are; a stored password is never lent to them. A failure is a
    400 whose message says which stage failed, what the server replied and what to change; its report says
    it in detail. A success has a body only if asked for by `Prefer: return=representation`.
    """
    server, receiver = translate.to_domain(settings), translate.recipient(settings)
    report = await use_cases(request).probes.given(caller(request), server, receiver, once)
    if report.failure is None:
        return _as_preferred(report, prefer)
    return STYLE.failed_test(report.failure, report, translate.VOCABULARY)


@router.get(
    f"{SETTINGS}/{{id}}",
    summary="Get details of SMTP settings by id",
    response_model=wire.SMTPSettingsViewModel,
    responses={200: {"content": {"application/json": {"example": examples.VIEW}}}, **_UNCHANGED, **_NOT_FOUND},
)
@needs(Permission.MAIL_SERVERS_READ)
async def get_settings(request: Request, settings_id: SettingsId, _if_changed: IfChanged = None) -> Response:
    """One object; the vendor's page shows it in a list, which none of its clients can read."""
    stored = await use_cases(request).mail_servers.get(caller(request), settings_id)
    if not_modified(request, stored):
        return unchanged(stored, _NO_STORE)
    headers = {**_NO_STORE, "ETag": entity_tag(stored)}
    return Response(_json(translate.to_wire(stored)), media_type=MEDIA_TYPE, headers=headers)


@router.put(
    f"{SETTINGS}/{{id}}",
    summary="Update SMTP settings",
    status_code=204,
    response_class=Response,
    response_description="Replaced.",
    responses={**_NOT_FOUND, **_CHANGED},
)
@needs(Permission.MAIL_SERVERS_WRITE)
async def replace_settings(
    request: Request,
    settings_id: SettingsId,
    settings: Annotated[wire.UpdateSMTPSettingsModel, Body(openapi_examples=examples.SETTINGS)],
    expected: Expected,
) -> Response:
    """Replace the settings.

    Without a password the stored one is kept, as long as it goes to the same place; an empty one clears it.
    """
    wanted = translate.to_replacement(settings)
    await use_cases(request).mail_servers.replace(caller(request), settings_id, wanted, expected)
    return Response(status_code=204)


@router.delete(
    f"{SETTINGS}/{{id}}",
    summary="Delete SMTP settings",
    status_code=204,
    response_class=Response,
    response_description="Deleted.",
    responses={**_NOT_FOUND, **_CHANGED},
)
@needs(Permission.MAIL_SERVERS_WRITE)
async def delete_settings(request: Request, settings_id: SettingsId, expected: Expected) -> Response:
    """Remove the settings."""
    await use_cases(request).mail_servers.delete(caller(request), settings_id, expected)
    return Response(status_code=204)


def _as_preferred(report: ProbeReport, prefer: str | None) -> Response:
    """Clients of this API read no body; a preference (RFC 7240) brings one."""
    if not prefers_representation(prefer):
        return Response()
    applied = {**_NO_STORE, "Preference-Applied": "return=representation"}
    return Response(report_json(report, translate.VOCABULARY), media_type=MEDIA_TYPE, headers=applied)


def _json(model: wire.SMTPSettingsViewModel) -> str:
    return model.model_dump_json(by_alias=True)
