"""The path operations of the SMTP settings: parse, call the use case, translate, respond."""

import re
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Body, Depends, Path, Request, Response
from pydantic import WithJsonSchema
from pydantic_core import to_json

from mailsettings.dialects.checkmarx import examples, translate
from mailsettings.dialects.checkmarx import schemas as wire
from mailsettings.dialects.checkmarx.addressing import MEDIA_TYPE, SETTINGS, require_version
from mailsettings.dialects.checkmarx.errors import STYLE
from mailsettings.domain.access import Permission
from mailsettings.domain.change import Replacement
from mailsettings.domain.connection_test import ProbeReport
from mailsettings.domain.errors import MailServerNotFound
from mailsettings.domain.mail_server import StoredMailServer
from mailsettings.web.auth import current_principal
from mailsettings.web.dialect import use_cases
from mailsettings.web.direct import reads_request
from mailsettings.web.idempotency import IdempotencyHeader
from mailsettings.web.kept_answers import KeptAnswers
from mailsettings.web.negotiation import (
    NO_STORE,
    Prefer,
    ReadPreconditions,
    WritePrecondition,
    entity_tag,
    not_modified_response,
    prefers_representation,
)
from mailsettings.web.openapi import (
    Int32,
    Responses,
    common_error_responses,
    error_responses,
    header_references,
    optional_header,
)
from mailsettings.web.report import report_json
from mailsettings.web.request_errors import ParameterInvalid
from mailsettings.web.routing import StrictRoute, requires_permission
from mailsettings.web.streaming import JsonArray

TAG = "Checkmarx: SMTP settings"
_NUMBER = re.compile(r"0|[1-9][0-9]*")
_WITH_BODY = error_responses(wire.ErrorViewModel, 413, 415)
_NOT_FOUND = error_responses(wire.ErrorViewModel, 404, on_404="No settings have this id.")
_CHANGED = error_responses(wire.ErrorViewModel, 412)
_REPEATED = error_responses(wire.ErrorViewModel, 409)
_FOUND: Responses = {
    200: {"content": {"application/json": {"example": examples.VIEW}}, **header_references("ETag")},
    304: {"description": "The settings have not changed.", **header_references("ETag")},
    **_NOT_FOUND,
    **_CHANGED,
}
_TEST_REPEATED: Responses = {
    409: {
        **_REPEATED[409],
        "headers": optional_header("Retry-After", "Present while the first request is in progress."),
    }
}
_TEST_RESULTS: Responses = {
    # No content: without the preference there is no body, which generated clients would try to parse.
    200: header_references("Preference-Applied"),
    400: {
        "model": wire.FailedTestModel,
        "description": "The test failed, or the request is not valid.",
        "content": {"application/json": {"example": examples.FAILED_TEST}},
        **header_references("Idempotent-Replayed"),
    },
    **_TEST_REPEATED,
    **_WITH_BODY,
}

router = APIRouter(
    route_class=StrictRoute,
    strict_content_type=False,  # one client sends JSON without any Content-Type
    tags=[TAG],
    responses=common_error_responses(wire.ErrorViewModel),
    dependencies=[Depends(require_version)],
)


_IdText = Annotated[
    str,
    Path(description="Id of the SMTP settings, from the list or `Location`.", examples=[1]),
    # Documented as an integer; read as text, so that +1, 1.0 and 01 are not accepted.
    WithJsonSchema({**Int32, "minimum": 1, "maximum": wire.MAX_ID}),
]


@reads_request
async def _settings_id(id: _IdText) -> int:  # noqa: A002  # the vendor's name
    if not _NUMBER.fullmatch(id):
        raise ParameterInvalid("id must be a whole number.")
    if len(id) > len(str(wire.MAX_ID)) or not 1 <= int(id) <= wire.MAX_ID:
        raise MailServerNotFound
    return int(id)


SettingsId = Annotated[int, Depends(_settings_id)]


def _answer(stored: StoredMailServer) -> Response:
    headers = {**NO_STORE, "ETag": entity_tag(stored)}
    return Response(to_json(translate.to_view(stored.listed())), media_type=MEDIA_TYPE, headers=headers)


_ANSWERS = KeptAnswers(_answer)
_LIST = JsonArray(translate.to_view, MEDIA_TYPE, NO_STORE)


@router.get(
    SETTINGS,
    operation_id="listSmtpSettings",
    summary="Get all SMTP settings",
    response_description="All settings, in the order of their ids.",
    response_model=list[wire.SMTPSettingsViewModel],
    responses={200: {"content": {"application/json": {"example": [examples.VIEW]}}}},
)
@requires_permission(Permission.MAIL_SERVERS_READ)
async def list_settings(request: Request) -> Response:
    """Return all SMTP settings in the order of their ids; passwords are never shown."""
    page = partial(use_cases(request).mail_servers.page, current_principal(request))
    return await _LIST.response(page)


@router.post(
    SETTINGS,
    operation_id="createSmtpSettings",
    summary="Create SMTP settings",
    status_code=201,
    response_class=Response,
    response_description="The settings are stored at the address in `Location`.",
    responses={201: header_references("Location"), **_REPEATED, **_WITH_BODY},
)
@requires_permission(Permission.MAIL_SERVERS_WRITE)
async def create_settings(
    request: Request,
    settings: Annotated[wire.CreateSMTPSettingsModel, Body(openapi_examples=examples.SETTINGS)],
    idempotency_key: IdempotencyHeader,
) -> Response:
    """Store new SMTP settings."""
    wanted = Replacement(translate.to_domain(settings))
    settings_id = await use_cases(request).mail_servers.create(current_principal(request), wanted, idempotency_key)
    base = use_cases(request).public_url or str(request.base_url)
    return Response(status_code=201, headers={"Location": f"{base.rstrip('/')}{SETTINGS}/{settings_id}"})


@router.post(
    f"{SETTINGS}/testconnection",
    operation_id="testSmtpConnection",
    summary="Test SMTP connection",
    response_class=Response,
    response_description="The mail server accepted the mail; without a receiver the test ends after the sender. "
    "The body is empty; with `Prefer: return=representation` it is a `ConnectionTestReport` in JSON.",
    responses=_TEST_RESULTS,
)
@requires_permission(Permission.MAIL_SERVERS_TEST)
async def run_test_connection(
    request: Request,
    settings: Annotated[wire.TestConnectionModel, Body(openapi_examples=examples.TESTS)],
    idempotency_key: IdempotencyHeader,
    prefer: Prefer = None,
) -> Response:
    """Connect, secure, log in, and send one mail to the receiver.

    The test uses the settings in the body and never a stored password. The message of a 400 says which stage
    failed, what the server replied and what to change; its report has the details. A successful response has no
    body, unless the request asks for the report with `Prefer: return=representation`.
    """
    server, receiver = translate.to_domain(settings), translate.recipient(settings)
    report = await use_cases(request).probes.given(current_principal(request), server, receiver, idempotency_key)
    if report.failure is None:
        return _as_preferred(report, prefer)
    return STYLE.failed_test(report.failure, report, translate.VOCABULARY)


@router.get(
    f"{SETTINGS}/{{id}}",
    operation_id="getSmtpSettings",
    summary="Get details of SMTP settings by id",
    response_description="The settings.",
    response_model=wire.SMTPSettingsViewModel,
    responses=_FOUND,
)
@requires_permission(Permission.MAIL_SERVERS_READ)
async def get_settings(request: Request, settings_id: SettingsId, condition: ReadPreconditions) -> Response:
    """Return the settings as one object, as the vendor's clients expect; the vendor's page shows a list."""
    stored = await use_cases(request).mail_servers.get(current_principal(request), settings_id)
    if condition.not_modified(stored):
        return not_modified_response(stored, NO_STORE)
    return _ANSWERS.of(stored)


@router.put(
    f"{SETTINGS}/{{id}}",
    operation_id="updateSmtpSettings",
    summary="Update SMTP settings",
    status_code=204,
    response_class=Response,
    response_description="The settings are replaced.",
    responses={**_NOT_FOUND, **_CHANGED, **_WITH_BODY},
)
@requires_permission(Permission.MAIL_SERVERS_WRITE)
async def replace_settings(
    request: Request,
    settings_id: SettingsId,
    settings: Annotated[wire.UpdateSMTPSettingsModel, Body(openapi_examples=examples.SETTINGS)],
    expected: WritePrecondition,
) -> Response:
    """Replace the settings.

    Without a password the stored password is kept if the destination does not change; an empty one removes it.
    """
    wanted = translate.to_replacement(settings)
    await use_cases(request).mail_servers.replace(current_principal(request), settings_id, wanted, expected)
    return Response(status_code=204)


@router.delete(
    f"{SETTINGS}/{{id}}",
    operation_id="deleteSmtpSettings",
    summary="Delete SMTP settings",
    status_code=204,
    response_class=Response,
    response_description="The settings are removed.",
    responses={**_NOT_FOUND, **_CHANGED},
)
@requires_permission(Permission.MAIL_SERVERS_WRITE)
async def delete_settings(request: Request, settings_id: SettingsId, expected: WritePrecondition) -> Response:
    """Remove the settings."""
    await use_cases(request).mail_servers.delete(current_principal(request), settings_id, expected)
    return Response(status_code=204)


def _as_preferred(report: ProbeReport, prefer: str | None) -> Response:
    """Return an empty body, as clients of this API expect, unless a preference asks for one (RFC 7240)."""
    if not prefers_representation(prefer):
        return Response()
    applied = {**NO_STORE, "Preference-Applied": "return=representation"}
    return Response(report_json(report, translate.VOCABULARY), media_type=MEDIA_TYPE, headers=applied)
