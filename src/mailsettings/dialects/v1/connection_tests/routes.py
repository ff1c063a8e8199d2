"""The path operations of connection tests; each answers JSON, or events on request."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import Body, Request, Response
from pydantic_core import to_json

from mailsettings.dialects.v1.connection_tests import examples
from mailsettings.dialects.v1.connection_tests import schemas as wire
from mailsettings.dialects.v1.connection_tests.events import event_of, report_json, server_members
from mailsettings.dialects.v1.mail_servers import changes
from mailsettings.dialects.v1.mail_servers.addressing import PATH, ServerRef
from mailsettings.dialects.v1.operations import NO_QUERY, WITH_BODY, new_router, not_found
from mailsettings.dialects.v1.problems import STYLE, Problem
from mailsettings.dialects.v1.request_parts import WITHOUT_NULL
from mailsettings.domain.access import Permission
from mailsettings.domain.connection_test import ProbeListener, ProbeReport
from mailsettings.domain.idempotency import IdempotencyKey
from mailsettings.domain.mail_server import StoredMailServer
from mailsettings.domain.mail_server_list import LabelFilter, MailServerFilter
from mailsettings.domain.naming import mail_server_ref
from mailsettings.web.auth import current_principal
from mailsettings.web.dialect import use_cases
from mailsettings.web.event_stream import MEDIA_TYPE, Emit, Event, event_stream, wants_events
from mailsettings.web.idempotency import IdempotencyHeader
from mailsettings.web.negotiation import NO_STORE
from mailsettings.web.openapi import Responses, error_responses, optional_header
from mailsettings.web.routing import requires_permission

TAG = "Connection tests"
GIVEN = "/v1/tests"
_RETRY = {"headers": optional_header("Retry-After", "Present while the first request is in progress.")}
_CONFLICT: Responses = {
    409: {
        **error_responses(
            Problem, 409, on_409="The mail server is disabled, or the idempotency key was used before."
        )[409],
        **_RETRY,
    }
}

router = new_router(TAG)

RunTest = Callable[[ProbeListener | None], Awaitable[ProbeReport]]


def _results(example: Any, events: str) -> Responses:
    """Return the successful response: JSON, or events if the client prefers them."""
    stream = {"schema": {"type": "string"}, "example": events}
    return {
        200: {
            "content": {"application/json": {"example": example}, MEDIA_TYPE: stream},
            "headers": optional_header("X-Accel-Buffering", "Present if the response has events."),
        }
    }


@router.post(
    f"{PATH}/{{ref}}/test",
    operation_id="test_mail_server",
    summary="Test a stored mail server",
    response_description="What the test found, also if it failed.",
    response_model=wire.ConnectionReport,
    responses={
        **_results(examples.REPORT, examples.EVENTS),
        **not_found("No mail server has this id or name."),
        **_CONFLICT,
        **WITH_BODY,
    },
    dependencies=[NO_QUERY],
)
@requires_permission(Permission.MAIL_SERVERS_TEST)
async def run_stored_test(
    request: Request,
    ref: ServerRef,
    idempotency_key: IdempotencyHeader,
    test: Annotated[wire.StoredTest | None, WITHOUT_NULL, Body(openapi_examples=examples.STORED)] = None,
) -> Response:
    """Connect to a stored mail server, secure, log in, and send a mail to the recipient, if given.

    A test that fails is a successful request with `succeeded: false`. With `Accept: text/event-stream` the
    response has the events `begun`, `stage`, `looking`, `done` and `error` as they happen.
    """
    caller, recipient = current_principal(request), test.recipient if test else None

    async def run(listener: ProbeListener | None) -> ProbeReport:
        return await use_cases(request).probes.stored(caller, ref, recipient, idempotency_key, listener)

    return await _answer(request, run, idempotency_key)


@router.post(
    GIVEN,
    operation_id="test_settings",
    summary="Test given settings",
    response_description="What the test found, also if it failed.",
    response_model=wire.ConnectionReport,
    responses={
        **_results(examples.REPORT, examples.EVENTS),
        **not_found("No mail server has the id or name in `based_on`."),
        **_CONFLICT,
        **WITH_BODY,
    },
    dependencies=[NO_QUERY],
)
@requires_permission(Permission.MAIL_SERVERS_TEST)
async def run_settings_test(
    request: Request,
    idempotency_key: IdempotencyHeader,
    test: Annotated[wire.SettingsTest, Body(openapi_examples=examples.GIVEN)],
) -> Response:
    """Test settings without storing them.

    With `based_on` a secret that is left out is that of a stored mail server, while the destination is the same:
    host, port, security, trust, kind of login, user name, tenant and client id.
    """
    caller, wanted = current_principal(request), changes.to_tested(test.settings)
    ref = None if test.based_on is None else mail_server_ref(test.based_on)

    async def run(listener: ProbeListener | None) -> ProbeReport:
        return await use_cases(request).probes.based_on(
            caller, wanted, ref, test.recipient, idempotency_key=idempotency_key, listener=listener
        )

    return await _answer(request, run, idempotency_key)


@router.post(
    f"{PATH}/test",
    operation_id="test_mail_servers",
    summary="Test several mail servers",
    response_description="The reports.",
    response_model=wire.ServerReports,
    responses={**_results(examples.REPORTS, examples.SEVERAL_EVENTS), **_CONFLICT, **WITH_BODY},
    dependencies=[NO_QUERY],
)
@requires_permission(Permission.MAIL_SERVERS_TEST)
async def run_server_tests(
    request: Request,
    idempotency_key: IdempotencyHeader,
    test: Annotated[wire.ServersTest | None, WITHOUT_NULL, Body(openapi_examples=examples.SEVERAL)] = None,
) -> Response:
    """Test all mail servers that are enabled and meet the filter, some at a time.

    The tests count towards the limits of the caller; while a limit is reached, the rest waits. With
    `Accept: text/event-stream` the first event `mail_servers` names them, and all others have `mail_server`.
    """
    wanted, caller = test or wire.ServersTest(), current_principal(request)
    tests = use_cases(request).several_tests
    servers = await tests.servers(caller, _filter(wanted.filter), idempotency_key)
    if wants_events(request):

        async def work(emit: Emit) -> None:
            named = to_json({"items": [server_members(stored) for stored in servers]}).decode()
            emit(Event("mail_servers", named))
            await tests.run(
                *(caller, servers, wanted.recipient),
                lambda stored, event: emit(event_of(event, stored)),
                idempotency_key,
            )

        return await event_stream(work, _describe(request), outlives_client=False)
    reports: list[str] = []

    def keep(stored: StoredMailServer, event: object) -> None:
        if isinstance(event, ProbeReport):
            named = to_json(server_members(stored)).decode()
            reports.append(f'{{"mail_server":{named},"report":{report_json(event)}}}')

    await tests.run(caller, servers, wanted.recipient, keep, idempotency_key)
    return _json(f'{{"items":[{",".join(reports)}]}}')


def _filter(wanted: wire.TestedServers) -> MailServerFilter:
    labels = [LabelFilter.parse(label) for label in wanted.label]
    return MailServerFilter(wanted.name, labels, enabled=True, health=wanted.health)


async def _answer(request: Request, run: RunTest, idempotency_key: IdempotencyKey | None) -> Response:
    """Return the report of *run* as JSON, or its events if the client prefers them."""
    if not wants_events(request):
        return _json(report_json(await run(None)))

    async def work(emit: Emit) -> None:
        emit(event_of(await run(lambda event: emit(event_of(event)))))

    return await event_stream(work, _describe(request), outlives_client=idempotency_key is not None)


def _describe(request: Request) -> Callable[[Exception], str]:
    """Return what makes the problem of an error after the first event."""
    request_id = request.scope.get("request_id")
    return lambda error: to_json(STYLE.details(error, request_id)).decode()


def _json(body: str) -> Response:
    return Response(body, media_type="application/json", headers=NO_STORE)
