"""The path operations on mail servers: parse, call the use case, translate, respond."""

from typing import Annotated

from fastapi import Body, Query, Request, Response
from pydantic import Field

from mailsettings.dialects.v1.fields import FieldsParameter, chosen_fields, only
from mailsettings.dialects.v1.mail_servers import changes, examples, inputs, translate
from mailsettings.dialects.v1.mail_servers import schemas as wire
from mailsettings.dialects.v1.mail_servers.addressing import PATH, ServerRef, location, shown
from mailsettings.dialects.v1.mail_servers.patch_schema import MailServerPatch
from mailsettings.dialects.v1.operations import CHANGED, NO_QUERY, WITH_BODY, example, new_router, not_found
from mailsettings.dialects.v1.paging import LINKED, PageQuery, page_response
from mailsettings.dialects.v1.problems import Problem
from mailsettings.dialects.v1.request_parts import WITHOUT_NULL
from mailsettings.domain.access import Permission
from mailsettings.domain.mail_server_list import LabelFilter, MailServerFilter
from mailsettings.domain.monitoring import Health
from mailsettings.web.auth import current_principal
from mailsettings.web.dialect import use_cases
from mailsettings.web.idempotency import IdempotencyHeader
from mailsettings.web.negotiation import WritePrecondition
from mailsettings.web.openapi import Responses, error_responses, header_references
from mailsettings.web.routing import requires_permission

TAG = "Mail servers"
_SHOWN: Responses = {200: {**example(examples.VIEW), **header_references("ETag")}}
_NOT_FOUND = not_found("No mail server has this id or name.")
_CONFLICT = error_responses(
    Problem, 409, on_409="The name is taken, or the mail server is the default and must not be disabled."
)
_IN_USE = error_responses(Problem, 409, on_409="The mail server is the default; choose another first.")

router = new_router(TAG)


class MailServerQuery(PageQuery):
    """The parameters of the list of mail servers."""

    name: Annotated[
        str | None,
        WITHOUT_NULL,
        Field(max_length=63, description="Only mail servers with this text in their name.", examples=["relay"]),
    ] = None
    label: Annotated[
        list[str],
        Field(
            max_length=20,
            description="Only mail servers with this label: `key`, or `key=value`. Repeat it to require several.",
            default_factory=list,
            examples=[["site=berlin"]],
        ),
    ]
    enabled: Annotated[
        bool | None, WITHOUT_NULL, Field(description="Only mail servers that are enabled, or disabled.")
    ] = None
    health: Annotated[Health | None, WITHOUT_NULL, Field(description="Only mail servers with this health.")] = None
    fields: FieldsParameter = None

    def to_filter(self) -> MailServerFilter:
        """Return the filter of the domain."""
        labels = [LabelFilter.parse(label) for label in self.label]
        return MailServerFilter(self.name, labels, self.enabled, self.health)


@router.get(
    PATH,
    operation_id="list_mail_servers",
    summary="List mail servers",
    response_description="A page of mail servers, in the order of their ids.",
    response_model=wire.MailServerPage,
    responses={200: {**example(examples.PAGE), **LINKED[200]}},
)
@requires_permission(Permission.MAIL_SERVERS_READ)
async def list_mail_servers(request: Request, query: Annotated[MailServerQuery, Query()]) -> Response:
    """Return the mail servers with their health, a page at a time."""
    names = chosen_fields(query.fields, wire.MailServerView.model_fields)
    found = await use_cases(request).mail_servers.list(
        current_principal(request), query.to_filter(), query.after_number, query.limit + 1
    )
    return page_response(
        request,
        query,
        found,
        position=lambda each: each.stored.id,
        view=lambda each: only(translate.to_view(each).model_dump(mode="json"), names),
    )


@router.post(
    PATH,
    operation_id="create_mail_server",
    summary="Create a mail server",
    status_code=201,
    response_description="The mail server is stored at the address in `Location`.",
    response_model=wire.MailServerView,
    responses={
        201: {**example(examples.VIEW), **header_references("ETag", "Location")},
        **error_responses(Problem, 409, on_409="The name is taken, or the idempotency key was used before."),
        **WITH_BODY,
    },
    dependencies=[NO_QUERY],
)
@requires_permission(Permission.MAIL_SERVERS_WRITE)
async def create_mail_server(
    request: Request,
    settings: Annotated[inputs.NewMailServer, Body(openapi_examples=examples.NEW)],
    idempotency_key: IdempotencyHeader,
) -> Response:
    """Store a new mail server. It never becomes the default by itself."""
    wanted = changes.to_replacement(settings)
    server_id = await use_cases(request).mail_servers.create(current_principal(request), wanted, idempotency_key)
    return await shown(request, server_id, 201, {"Location": location(request, server_id)})


@router.get(
    f"{PATH}/{{ref}}",
    operation_id="get_mail_server",
    summary="Get a mail server",
    response_description="The mail server.",
    response_model=wire.MailServerView,
    responses={**_SHOWN, **_NOT_FOUND},
    dependencies=[NO_QUERY],
)
@requires_permission(Permission.MAIL_SERVERS_READ)
async def get_mail_server(request: Request, ref: ServerRef) -> Response:
    """Return one mail server by its id or name. Secrets are never shown.

    The `ETag` is that of the settings, for `If-Match`; the health changes without it, so there is no 304.
    """
    return await shown(request, ref)


@router.put(
    f"{PATH}/{{ref}}",
    operation_id="replace_mail_server",
    summary="Replace a mail server",
    response_description="The mail server as it is now.",
    response_model=wire.MailServerView,
    responses={**_SHOWN, **_NOT_FOUND, **_CONFLICT, **CHANGED, **WITH_BODY},
    dependencies=[NO_QUERY],
)
@requires_permission(Permission.MAIL_SERVERS_WRITE)
async def replace_mail_server(
    request: Request,
    ref: ServerRef,
    settings: Annotated[inputs.MailServerReplacement, Body(openapi_examples=examples.NEW)],
    expected: WritePrecondition,
) -> Response:
    """Replace all settings. A stored secret stays if it is left out and the destination does not change.

    The destination is host, port, security, trust, kind of login, user name, tenant and client id.
    """
    merge = changes.replacing(settings)
    server_id = await use_cases(request).mail_servers.update(current_principal(request), ref, merge, expected)
    return await shown(request, server_id)


@router.patch(
    f"{PATH}/{{ref}}",
    operation_id="update_mail_server",
    summary="Change members of a mail server",
    response_description="The mail server as it is now.",
    response_model=wire.MailServerView,
    responses={**_SHOWN, **_NOT_FOUND, **_CONFLICT, **CHANGED, **WITH_BODY},
    dependencies=[NO_QUERY],
)
@requires_permission(Permission.MAIL_SERVERS_WRITE)
async def update_mail_server(
    request: Request,
    ref: ServerRef,
    patch: Annotated[
        MailServerPatch, Body(media_type="application/merge-patch+json", openapi_examples=examples.PATCHES)
    ],
    expected: WritePrecondition,
) -> Response:
    """Change the members that are sent (JSON Merge Patch, RFC 7396); null gives a member its default.

    A stored secret stays if it is left out and the destination does not change; null removes it. With another
    `kind`, the login or the trust is replaced as a whole. `application/json` is accepted as well.
    """
    merge = changes.patching(patch.root)
    server_id = await use_cases(request).mail_servers.update(current_principal(request), ref, merge, expected)
    return await shown(request, server_id)


@router.delete(
    f"{PATH}/{{ref}}",
    operation_id="delete_mail_server",
    summary="Delete a mail server",
    status_code=204,
    response_class=Response,
    response_description="The mail server is removed; its versions stay.",
    responses={**_NOT_FOUND, **_IN_USE, **CHANGED},
    dependencies=[NO_QUERY],
)
@requires_permission(Permission.MAIL_SERVERS_WRITE)
async def delete_mail_server(request: Request, ref: ServerRef, expected: WritePrecondition) -> Response:
    """Remove a mail server."""
    await use_cases(request).mail_servers.delete(current_principal(request), ref, expected)
    return Response(status_code=204)


@router.post(
    f"{PATH}/{{ref}}/enable",
    operation_id="enable_mail_server",
    summary="Enable a mail server",
    response_description="The mail server as it is now.",
    response_model=wire.MailServerView,
    responses={**_SHOWN, **_NOT_FOUND, **CHANGED},
    dependencies=[NO_QUERY],
)
@requires_permission(Permission.MAIL_SERVERS_WRITE)
async def enable_mail_server(request: Request, ref: ServerRef, expected: WritePrecondition) -> Response:
    """Enable a mail server; without effect if it is enabled."""
    return await _set_enabled(request, ref, expected, enabled=True)


@router.post(
    f"{PATH}/{{ref}}/disable",
    operation_id="disable_mail_server",
    summary="Disable a mail server",
    response_description="The mail server as it is now.",
    response_model=wire.MailServerView,
    responses={**_SHOWN, **_NOT_FOUND, **_IN_USE, **CHANGED},
    dependencies=[NO_QUERY],
)
@requires_permission(Permission.MAIL_SERVERS_WRITE)
async def disable_mail_server(request: Request, ref: ServerRef, expected: WritePrecondition) -> Response:
    """Disable a mail server: it is neither checked on schedule nor tested; without effect if it is disabled."""
    return await _set_enabled(request, ref, expected, enabled=False)


async def _set_enabled(
    request: Request, ref: ServerRef, expected: WritePrecondition, *, enabled: bool
) -> Response:
    servers = use_cases(request).mail_servers
    server_id = await servers.set_enabled(current_principal(request), ref, enabled=enabled, expected=expected)
    return await shown(request, server_id)
