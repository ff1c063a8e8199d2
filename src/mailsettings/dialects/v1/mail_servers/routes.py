"""The path operations of mail servers: parse, call the use case, translate, respond."""

import re
from typing import Annotated

from fastapi import Depends, Path, Query, Request, Response

from mailsettings.dialects.v1.fields import FieldsParameter, chosen_fields, only
from mailsettings.dialects.v1.mail_servers import examples, translate
from mailsettings.dialects.v1.mail_servers import schemas as wire
from mailsettings.dialects.v1.operations import CHANGED, NO_QUERY, example, json_response, new_router, not_found
from mailsettings.dialects.v1.paging import LINKED, PageQuery, page_response
from mailsettings.domain.access import Permission
from mailsettings.domain.errors import MailServerNotFound
from mailsettings.domain.mail_server import StoredMailServer
from mailsettings.domain.monitoring import MonitoredServer
from mailsettings.web.auth import current_principal
from mailsettings.web.dialect import use_cases
from mailsettings.web.negotiation import NO_STORE, ReadPreconditions, entity_tag, not_modified_response
from mailsettings.web.openapi import Responses, header_references
from mailsettings.web.routing import requires_permission

PATH = "/v1/mail-servers"
TAG = "Mail servers"
_ID = re.compile(r"[1-9][0-9]{0,9}")
_FOUND: Responses = {
    200: {**example(examples.VIEW), **header_references("ETag")},
    304: {"description": "The mail server has not changed.", **header_references("ETag")},
    **not_found("No mail server has this id."),
    **CHANGED,
}

router = new_router(TAG)


class MailServerQuery(PageQuery):
    """The parameters of the list of mail servers."""

    fields: FieldsParameter = None


async def _server_id(ref: Annotated[str, Path(description="Id of the mail server.", examples=["7"])]) -> int:
    if not _ID.fullmatch(ref):
        raise MailServerNotFound
    return int(ref)


ServerId = Annotated[int, Depends(_server_id)]


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
    caller, servers = current_principal(request), use_cases(request).mail_servers
    listed = (await servers.page(caller, query.after_number)).servers[: query.limit + 1]
    found = [(await servers.get(caller, server.id), await _monitored(request, server.id)) for server in listed]
    return page_response(
        request,
        query,
        found,
        position=lambda each: each[0].id,
        view=lambda each: only(translate.to_view(*each, is_default=False).model_dump(mode="json"), names),
    )


@router.get(
    f"{PATH}/{{ref}}",
    operation_id="get_mail_server",
    summary="Get a mail server",
    response_description="The mail server.",
    response_model=wire.MailServerView,
    responses=_FOUND,
    dependencies=[NO_QUERY],
)
@requires_permission(Permission.MAIL_SERVERS_READ)
async def get_mail_server(request: Request, server_id: ServerId, condition: ReadPreconditions) -> Response:
    """Return one mail server. Secrets are never shown."""
    stored = await use_cases(request).mail_servers.get(current_principal(request), server_id)
    if condition.not_modified(stored):
        return not_modified_response(stored, NO_STORE)
    return await _shown(request, stored)


async def _shown(request: Request, stored: StoredMailServer) -> Response:
    view = translate.to_view(stored, await _monitored(request, stored.id), is_default=False)
    return json_response(view.model_dump(mode="json"), headers={"ETag": entity_tag(stored)})


async def _monitored(request: Request, server_id: int) -> MonitoredServer:
    found = await use_cases(request).monitoring_status.list(current_principal(request))
    return next(each for each in found if each.server_id == server_id)
