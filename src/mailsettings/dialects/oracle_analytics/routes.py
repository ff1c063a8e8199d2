"""The path operations of the one mail server: parse, call the use case, translate, respond."""

from typing import Annotated

from fastapi import APIRouter, Body, Request, Response
from pydantic.json_schema import SkipJsonSchema

from mailsettings.dialects.oracle_analytics import schemas as wire
from mailsettings.dialects.oracle_analytics.errors import STYLE
from mailsettings.dialects.oracle_analytics.examples import FAILED_TEST, MAIL_SERVERS, NO_AUTH, TESTS
from mailsettings.dialects.oracle_analytics.translate import to_domain, to_wire, vocabulary
from mailsettings.domain.access import Permission
from mailsettings.domain.mail_server import StoredMailServer
from mailsettings.web.auth import current_principal
from mailsettings.web.dialect import use_cases
from mailsettings.web.idempotency import IdempotencyHeader
from mailsettings.web.kept_answers import KeptAnswers
from mailsettings.web.negotiation import (
    NO_STORE,
    ReadPreconditions,
    WritePrecondition,
    entity_tag,
    not_modified_response,
)
from mailsettings.web.openapi import (
    Responses,
    common_error_responses,
    error_responses,
    header_references,
    optional_header,
)
from mailsettings.web.report import report_json
from mailsettings.web.report_schema import PASSED_REPORT, ConnectionTestReport
from mailsettings.web.routing import StrictRoute, requires_permission

PATH = "/api/20210901/system/mail/server"

TAG = "Oracle Analytics: mail server"
_SHOWN: Responses = {
    200: {
        "description": "The mail server.",
        "content": {"application/json": {"example": NO_AUTH}},
        **header_references("ETag"),
    }
}
_UNCHANGED: Responses = {304: {"description": "The mail server has not changed.", **header_references("ETag")}}
_NOT_FOUND = error_responses(wire.Error, 404, on_404="No mail server is configured.")
_NO_EARLIER_VERSION = error_responses(wire.Error, 404, on_404="No earlier mail server is stored.")
_CHANGED = error_responses(wire.Error, 412)
_REPEATED = error_responses(wire.Error, 409)
_WITH_BODY = error_responses(wire.Error, 413, 415)
_TEST_REPEATED: Responses = {
    409: {
        **_REPEATED[409],
        "headers": optional_header("Retry-After", "Present while the first request is in progress."),
    }
}
_TEST_RESULTS: Responses = {
    200: {
        "description": "The mail server works; the report has the details.",
        "content": {"application/json": {"example": PASSED_REPORT}},
    },
    400: {
        "model": wire.FailedTest,
        "description": "The test failed, or the request is not valid.",
        "content": {"application/json": {"example": FAILED_TEST}},
        **header_references("Idempotent-Replayed"),
    },
    **_NOT_FOUND,
    **_TEST_REPEATED,
    **_WITH_BODY,
}

router = APIRouter(route_class=StrictRoute, tags=[TAG], responses=common_error_responses(wire.Error))


@router.get(
    PATH,
    operation_id="getMailServer",
    summary="Get mail server settings",
    response_model=wire.MailServer,
    responses={**_SHOWN, **_UNCHANGED, **_NOT_FOUND, **_CHANGED},
)
@requires_permission(Permission.MAIL_SERVERS_READ)
async def get_mail_server(request: Request, condition: ReadPreconditions) -> Response:
    """Return the mail server. Passwords and client secrets are shown as ten asterisks."""
    stored = await use_cases(request).mail_servers.get_default(current_principal(request))
    if condition.not_modified(stored):
        return not_modified_response(stored, NO_STORE)
    return _ANSWERS.of(stored)


@router.put(
    PATH,
    operation_id="putMailServer",
    summary="Configure a mail server",
    response_class=Response,
    response_description="The mail server is stored as sent. The body is empty.",
    responses={**_CHANGED, **_WITH_BODY},
)
@requires_permission(Permission.MAIL_SERVERS_WRITE)
async def put_mail_server(
    request: Request,
    server: Annotated[wire.MailServer, Body(openapi_examples=MAIL_SERVERS)],
    expected: WritePrecondition,
) -> Response:
    """Create the mail server or replace all of it.

    A password or client secret of ten asterisks, as in the response of GET, keeps the stored secret, provided that
    host, port, connection security, certificate, authentication type, user name, client id and tenant do not
    change.
    """
    await use_cases(request).mail_servers.put_default(current_principal(request), to_domain(server), expected)
    return Response()


@router.delete(
    PATH,
    operation_id="deleteMailServer",
    summary="Delete mail server settings",
    response_class=Response,
    response_description="The mail server is removed. The body is empty.",
    responses={**_NOT_FOUND, **_CHANGED},
)
@requires_permission(Permission.MAIL_SERVERS_WRITE)
async def delete_mail_server(request: Request, expected: WritePrecondition) -> Response:
    """Remove the mail server."""
    await use_cases(request).mail_servers.delete_default(current_principal(request), expected)
    return Response()


@router.post(
    f"{PATH}/actions/test",
    operation_id="testMailServer",
    summary="Test the mail server (extension)",
    response_model=ConnectionTestReport,
    responses=_TEST_RESULTS,
)
@requires_permission(Permission.MAIL_SERVERS_TEST)
async def run_mail_server_test(
    request: Request,
    idempotency_key: IdempotencyHeader,
    test: Annotated[wire.MailServerTest | SkipJsonSchema[None], Body(openapi_examples=TESTS)] = None,
) -> Response:
    """Connect to the stored mail server, secure, log in, and send a mail to the recipient, if given.

    The body is optional. This is an extension: the vendor's API has no such operation.
    """
    recipient = (test.recipient if test else None) or None
    report = await use_cases(request).probes.stored(current_principal(request), None, recipient, idempotency_key)
    if report.failure is not None:
        return STYLE.failed_test(report.failure, report, vocabulary(report))
    return Response(report_json(report, vocabulary(report)), media_type="application/json", headers=NO_STORE)


@router.post(
    f"{PATH}/actions/rollback",
    operation_id="rollBackMailServer",
    summary="Restore the mail server before the last change (extension)",
    response_model=wire.MailServer,
    responses={**_SHOWN, **_NO_EARLIER_VERSION, **_REPEATED, **_CHANGED},
)
@requires_permission(Permission.MAIL_SERVERS_WRITE)
async def roll_mail_server_back(
    request: Request, expected: WritePrecondition, idempotency_key: IdempotencyHeader
) -> Response:
    """Restore the mail server as it was before its last change or removal, including its secret.

    A second call undoes the first. This is an extension: the vendor's API has no such operation.
    """
    stored = await use_cases(request).history.restore(
        current_principal(request), None, None, expected, idempotency_key
    )
    return _answer(stored)  # not a shared answer, because a repeated request gets a further header


def _answer(stored: StoredMailServer) -> Response:
    body = to_wire(stored.server).model_dump_json(by_alias=True)
    return Response(body, media_type="application/json", headers={**NO_STORE, "ETag": entity_tag(stored)})


_ANSWERS = KeptAnswers(_answer)
