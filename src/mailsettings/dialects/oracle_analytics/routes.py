"""The path operations of the one mail server: parse, call, translate, answer."""

from typing import Annotated

from fastapi import APIRouter, Body, Request, Response
from pydantic.json_schema import SkipJsonSchema

from mailsettings.dialects.oracle_analytics import schemas as wire
from mailsettings.dialects.oracle_analytics.errors import STYLE
from mailsettings.dialects.oracle_analytics.examples import FAILED_TEST, MAIL_SERVERS, NO_AUTH, TESTS
from mailsettings.dialects.oracle_analytics.translate import to_domain, to_wire, vocabulary
from mailsettings.domain.access import Permission
from mailsettings.domain.mail_server import MailServer
from mailsettings.web.conditions import Expected, IfRead, entity_tag, unchanged
from mailsettings.web.dialect import use_cases
from mailsettings.web.documentation import Responses, common_refusals, headers, optional_header, refusals
from mailsettings.web.idempotency import OnceOnly
from mailsettings.web.principal import caller
from mailsettings.web.report import report_json
from mailsettings.web.report_example import REPORT
from mailsettings.web.report_schema import ConnectionTestReport
from mailsettings.web.routing import StrictRoute, needs

PATH = "/api/20210901/system/mail/server"

TAG = "Oracle Analytics: mail server"
_SHOWN: Responses = {
    200: {
        "description": "The mail server.",
        "content": {"application/json": {"example": NO_AUTH}},
        **headers("ETag"),
    }
}
_UNCHANGED: Responses = {304: {"description": "The mail server has not changed.", **headers("ETag")}}
_NOT_FOUND = refusals(wire.Error, 404, on_404="No mail server is configured.")
_NOTHING_TO_GO_BACK_TO = refusals(wire.Error, 404, on_404="There is no earlier mail server.")
_CHANGED = refusals(wire.Error, 412)
_REPEATED = refusals(wire.Error, 409)
_WITH_BODY = refusals(wire.Error, 413, 415)
_TEST_REPEATED: Responses = {
    409: {
        **_REPEATED[409],
        "headers": optional_header("Retry-After", "Present while the first request is still being answered."),
    }
}
_TEST_RESULTS: Responses = {
    200: {
        "description": "The mail server works; the report says what was found.",
        "content": {"application/json": {"example": REPORT}},
    },
    400: {
        "model": wire.FailedTest,
        "description": "The test failed, or the request is not valid.",
        "content": {"application/json": {"example": FAILED_TEST}},
        **headers("Idempotent-Replayed"),
    },
    **_NOT_FOUND,
    **_TEST_REPEATED,
    **_WITH_BODY,
}

router = APIRouter(route_class=StrictRoute, tags=[TAG], responses=common_refusals(wire.Error))


@router.get(
    PATH,
    operation_id="getMailServer",
    summary="Get mail server settings",
    response_model=wire.MailServer,
    responses={**_SHOWN, **_UNCHANGED, **_NOT_FOUND, **_CHANGED},
)
@needs(Permission.MAIL_SERVERS_READ)
async def get_mail_server(request: Request, condition: IfRead) -> Response:
    """Return the mail server. Passwords and client secrets are shown as ten asterisks."""
    stored = await use_cases(request).mail_servers.get_default(caller(request))
    if condition.not_modified(stored):
        return unchanged(stored, _NO_STORE)
    headers = {**_NO_STORE, "ETag": entity_tag(stored)}
    return Response(_last_body.of(stored.server), media_type="application/json", headers=headers)


@router.put(
    PATH,
    operation_id="putMailServer",
    summary="Configure a mail server",
    response_class=Response,
    response_description="The mail server is stored as sent. The body is empty.",
    responses={**_CHANGED, **_WITH_BODY},
)
@needs(Permission.MAIL_SERVERS_WRITE)
async def put_mail_server(
    request: Request,
    server: Annotated[wire.MailServer, Body(openapi_examples=MAIL_SERVERS)],
    expected: Expected,
) -> Response:
    """Create the mail server or replace all of it.

    A password or client secret of ten asterisks, as GET shows it, keeps the stored one, provided that host,
    port, connection security, certificate, authentication type, user name, client id and tenant do not change.
    """
    await use_cases(request).mail_servers.put_default(caller(request), to_domain(server), expected)
    return Response()


@router.delete(
    PATH,
    operation_id="deleteMailServer",
    summary="Delete mail server settings",
    response_class=Response,
    response_description="The mail server is removed. The body is empty.",
    responses={**_NOT_FOUND, **_CHANGED},
)
@needs(Permission.MAIL_SERVERS_WRITE)
async def delete_mail_server(request: Request, expected: Expected) -> Response:
    """Remove the mail server."""
    await use_cases(request).mail_servers.delete_default(caller(request), expected)
    return Response()


@router.post(
    f"{PATH}/actions/test",
    operation_id="testMailServer",
    summary="Test the mail server (extension)",
    response_model=ConnectionTestReport,
    responses=_TEST_RESULTS,
)
@needs(Permission.MAIL_SERVERS_TEST)
async def run_mail_server_test(
    request: Request,
    once: OnceOnly,
    test: Annotated[wire.MailServerTest | SkipJsonSchema[None], Body(openapi_examples=TESTS)] = None,
) -> Response:
    """Connect to the stored mail server, secure, log in, and send a mail to the recipient, if one is given.

    The body may be left out. This is an extension: the vendor's API has no such operation.
    """
    recipient = (test.recipient if test else None) or None
    report = await use_cases(request).probes.stored(caller(request), None, recipient, once)
    if report.failure is not None:
        return STYLE.failed_test(report.failure, report, vocabulary(report))
    return Response(report_json(report, vocabulary(report)), media_type="application/json", headers=_NO_STORE)


@router.post(
    f"{PATH}/actions/rollback",
    operation_id="rollBackMailServer",
    summary="Go back to the mail server before the last change (extension)",
    response_model=wire.MailServer,
    responses={**_SHOWN, **_NOTHING_TO_GO_BACK_TO, **_REPEATED, **_CHANGED},
)
@needs(Permission.MAIL_SERVERS_WRITE)
async def roll_mail_server_back(request: Request, expected: Expected, once: OnceOnly) -> Response:
    """Restore the mail server as it was before its last change or removal, including its secret.

    A second call undoes the first. This is an extension: the vendor's API has no such operation.
    """
    stored = await use_cases(request).history.restore(caller(request), None, None, expected, once)
    body = to_wire(stored.server).model_dump_json(by_alias=True)
    return Response(body, media_type="application/json", headers={**_NO_STORE, "ETag": entity_tag(stored)})


class _LastBody:
    """The body of the server that was shown last; the store gives the same object until it changes."""

    def __init__(self) -> None:
        self._made: tuple[MailServer, str] | None = None

    def of(self, server: MailServer) -> str:
        if self._made is None or self._made[0] is not server:
            self._made = server, to_wire(server).model_dump_json(by_alias=True)
        return self._made[1]


_last_body = _LastBody()
_NO_STORE = {"Cache-Control": "no-store"}
