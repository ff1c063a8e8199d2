"""The path operations of the one mail server: parse, call, translate, answer."""

from typing import Annotated, Any

from fastapi import APIRouter, Body, Request, Response

from mailsettings.dialects.oracle_analytics import schemas as wire
from mailsettings.dialects.oracle_analytics.errors import STYLE
from mailsettings.dialects.oracle_analytics.examples import MAIL_SERVERS, NO_AUTH, TESTS
from mailsettings.dialects.oracle_analytics.translate import to_domain, to_wire, vocabulary
from mailsettings.domain.access import Permission
from mailsettings.domain.mail_server import MailServer
from mailsettings.web.conditions import Expected, IfChanged, entity_tag, not_modified, unchanged
from mailsettings.web.dialect import use_cases
from mailsettings.web.idempotency import OnceOnly
from mailsettings.web.principal import caller
from mailsettings.web.report import report_json
from mailsettings.web.report_example import REPORT
from mailsettings.web.report_schema import ConnectionTestReport
from mailsettings.web.routing import StrictRoute, needs

PATH = "/api/20210901/system/mail/server"

_ERRORS: dict[int | str, dict[str, Any]] = {
    400: {"model": wire.Error, "description": "Something in the request is wrong; the message says what."},
    401: {"model": wire.Error, "description": "No access token, or one that is not good."},
    403: {"model": wire.Error, "description": "The access token does not allow this."},
    "default": {"model": wire.Error, "description": "Any other refusal, in the same shape."},
}
_NOT_FOUND: dict[int | str, dict[str, Any]] = {
    404: {"model": wire.Error, "description": "No mail server is configured."}
}
_CHANGED: dict[int | str, dict[str, Any]] = {
    412: {"model": wire.Error, "description": "It was changed meanwhile; the message says by whom."}
}
_UNCHANGED: dict[int | str, dict[str, Any]] = {304: {"description": "As you have it."}}
_FOUND: dict[int | str, dict[str, Any]] = {
    200: {"description": "Successful operation.", "content": {"application/json": {"example": NO_AUTH}}}
}
_REPEATED: dict[int | str, dict[str, Any]] = {
    409: {"model": wire.Error, "description": "The key was sent before, and there is no answer to repeat."}
}
_TEST_RESULTS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "It works; the report says what was seen.",
        "content": {"application/json": {"example": REPORT}},
    },
    400: {"model": wire.FailedTest, "description": "It does not work, or the request is wrong."},
    **_NOT_FOUND,
    **_REPEATED,
}

router = APIRouter(route_class=StrictRoute, tags=["Oracle Analytics: mail server"], responses=_ERRORS)


@router.get(
    PATH,
    summary="Get mail server settings",
    response_model=wire.MailServer,
    responses={**_FOUND, **_UNCHANGED, **_NOT_FOUND},
)
@needs(Permission.MAIL_SERVERS_READ)
async def get_mail_server(request: Request, _if_changed: IfChanged = None) -> Response:
    """The configuration of the mail server. Passwords and client secrets are shown as ten asterisks."""
    stored = await use_cases(request).mail_servers.get_default(caller(request))
    if not_modified(request, stored):
        return unchanged(stored, _NO_STORE)
    headers = {**_NO_STORE, "ETag": entity_tag(stored)}
    return Response(_last_body.of(stored.server), media_type="application/json", headers=headers)


@router.put(
    PATH,
    summary="Configure a mail server",
    response_class=Response,
    response_description="The mail server is configured as sent.",
    responses=_CHANGED,
)
@needs(Permission.MAIL_SERVERS_WRITE)
async def put_mail_server(
    request: Request,
    server: Annotated[wire.MailServer, Body(openapi_examples=MAIL_SERVERS)],
    expected: Expected,
) -> Response:
    """Create the mail server or replace all of it.

    A password or client secret of ten asterisks, as GET shows it, keeps the stored one, as long as host,
    port, connection security, certificate, authentication type, user name, client id and tenant stay.
    """
    await use_cases(request).mail_servers.put_default(caller(request), to_domain(server), expected)
    return Response()


@router.delete(
    PATH,
    summary="Delete mail server settings",
    response_class=Response,
    response_description="The mail server is no longer configured.",
    responses={**_NOT_FOUND, **_CHANGED},
)
@needs(Permission.MAIL_SERVERS_WRITE)
async def delete_mail_server(request: Request, expected: Expected) -> Response:
    """Remove the mail server."""
    await use_cases(request).mail_servers.delete_default(caller(request), expected)
    return Response()


@router.post(
    f"{PATH}/actions/test",
    summary="Test the mail server (extension)",
    response_model=ConnectionTestReport,
    responses=_TEST_RESULTS,
)
@needs(Permission.MAIL_SERVERS_TEST)
async def run_mail_server_test(
    request: Request,
    once: OnceOnly,
    test: Annotated[wire.MailServerTest | None, Body(openapi_examples=TESTS)] = None,
) -> Response:
    """Connect to the stored mail server, secure, log in, and send a mail to the recipient, if one is given.

    An extension of this service: the vendor's API has no such operation.
    """
    recipient = (test.recipient if test else None) or None
    report = await use_cases(request).probes.stored(caller(request), None, recipient, once)
    if report.failure is not None:
        return STYLE.failed_test(report.failure, report, vocabulary(report))
    return Response(report_json(report, vocabulary(report)), media_type="application/json", headers=_NO_STORE)


@router.post(
    f"{PATH}/actions/rollback",
    summary="Go back to the mail server before the last change (extension)",
    response_model=wire.MailServer,
    responses={**_FOUND, **_NOT_FOUND, **_REPEATED, **_CHANGED},
)
@needs(Permission.MAIL_SERVERS_WRITE)
async def roll_mail_server_back(request: Request, expected: Expected, once: OnceOnly) -> Response:
    """Make the mail server what it was before it was last changed or removed, its secret included.

    A second time undoes the first. An extension of this service: the vendor's API has no such operation.
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
