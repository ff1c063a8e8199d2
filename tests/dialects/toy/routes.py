"""The path operations: parse, call, translate, answer. They are the table of this API's operations."""

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Body, Depends, Path, Request, Response
from pydantic_core import to_json

from mailsettings.domain.access import Permission
from mailsettings.domain.change import Replacement
from mailsettings.domain.errors import MailServerNotFound
from mailsettings.web.auth import current_principal
from mailsettings.web.dialect import use_cases
from mailsettings.web.direct import reads_request
from mailsettings.web.idempotency import IdempotencyHeader
from mailsettings.web.negotiation import ReadPreconditions, WritePrecondition, entity_tag, not_modified_response
from mailsettings.web.openapi import Responses, common_error_responses, error_responses, header_references
from mailsettings.web.routing import StrictRoute, requires_permission
from mailsettings.web.streaming import JsonArray

from . import examples, translate
from . import schemas as wire

PATH = "/toy/v2/email-configurations"
TAG = "Toy: email configurations"
_NO_STORE = {"Cache-Control": "no-store"}
_WITH_BODY = error_responses(wire.EmailConfigurationError, 413, 415)
_NOT_FOUND = error_responses(wire.EmailConfigurationError, 404)
_CHANGED = error_responses(wire.EmailConfigurationError, 412)
_LISTED: Responses = {
    200: {"content": {"application/json": {"example": {"emailConfigurations": [examples.VIEW]}}}}
}
_SHOWN: Responses = {
    200: {"content": {"application/json": {"example": examples.VIEW}}, **header_references("ETag")},
    304: {"description": "The configuration has not changed.", **header_references("ETag")},
}

router = APIRouter(
    route_class=StrictRoute, tags=[TAG], responses=common_error_responses(wire.EmailConfigurationError)
)


@reads_request
async def _number(id: Annotated[str, Path(description="Id of the configuration.")]) -> int:  # noqa: A002  # the vendor's name
    if not (id.isascii() and id.isdecimal() and len(id) <= len("999999999")):
        raise MailServerNotFound
    return int(id)


Number = Annotated[int, Depends(_number)]
_LIST = JsonArray(translate.to_view, "application/json", _NO_STORE, b'{"emailConfigurations":[', b"]}")


@router.get(
    PATH,
    operation_id="listEmailConfigurations",
    summary="List the email configurations",
    response_model=wire.EmailConfigurations,
    responses=_LISTED,
)
@requires_permission(Permission.MAIL_SERVERS_READ)
async def list_configurations(request: Request) -> Response:
    """Return all email configurations in the order of their ids."""
    page = partial(use_cases(request).mail_servers.page, current_principal(request))
    return await _LIST.response(page)


@router.post(
    PATH,
    operation_id="createEmailConfiguration",
    summary="Create an email configuration",
    status_code=201,
    response_class=Response,
    response_description="The configuration is stored at the address in `Location`.",
    responses={
        201: header_references("Location"),
        **error_responses(wire.EmailConfigurationError, 409),
        **_WITH_BODY,
    },
)
@requires_permission(Permission.MAIL_SERVERS_WRITE)
async def create_configuration(
    request: Request,
    configuration: Annotated[
        wire.NewEmailConfiguration, Body(openapi_examples={"STARTTLS": {"value": examples.NEW}})
    ],
    idempotency_key: IdempotencyHeader,
) -> Response:
    """Store a new email configuration."""
    wanted = Replacement(translate.to_replacement(configuration).server)
    number = await use_cases(request).mail_servers.create(current_principal(request), wanted, idempotency_key)
    base = use_cases(request).public_url or str(request.base_url)
    return Response(status_code=201, headers={"Location": f"{base.rstrip('/')}{PATH}/{number}"})


@router.get(
    f"{PATH}/{{id}}",
    operation_id="getEmailConfiguration",
    summary="Get an email configuration",
    response_model=wire.EmailConfiguration,
    responses={**_SHOWN, **_NOT_FOUND, **_CHANGED},
)
@requires_permission(Permission.MAIL_SERVERS_READ)
async def get_configuration(request: Request, number: Number, preconditions: ReadPreconditions) -> Response:
    """Return the email configuration without its password."""
    stored = await use_cases(request).mail_servers.get(current_principal(request), number)
    if preconditions.not_modified(stored):
        return not_modified_response(stored, _NO_STORE)
    headers = {**_NO_STORE, "ETag": entity_tag(stored)}
    return Response(to_json(translate.to_view(stored.listed())), media_type="application/json", headers=headers)


@router.patch(
    f"{PATH}/{{id}}",
    operation_id="updateEmailConfiguration",
    summary="Change an email configuration",
    status_code=204,
    response_class=Response,
    response_description="The configuration is changed.",
    responses={**_NOT_FOUND, **_CHANGED, **_WITH_BODY},
)
@requires_permission(Permission.MAIL_SERVERS_WRITE)
async def change_configuration(
    request: Request,
    number: Number,
    patch: Annotated[wire.EmailConfigurationPatch, Body(openapi_examples={"The name": {"value": examples.PATCH}})],
    precondition: WritePrecondition,
) -> Response:
    """Change the members that are sent. A change of the destination needs the password again."""
    servers = use_cases(request).mail_servers
    await servers.update(current_principal(request), number, translate.merge(patch), precondition)
    return Response(status_code=204)


@router.delete(
    f"{PATH}/{{id}}",
    operation_id="deleteEmailConfiguration",
    summary="Delete an email configuration",
    status_code=204,
    response_class=Response,
    response_description="The configuration is removed.",
    responses={**_NOT_FOUND, **_CHANGED},
)
@requires_permission(Permission.MAIL_SERVERS_WRITE)
async def delete_configuration(request: Request, number: Number, precondition: WritePrecondition) -> Response:
    """Remove the email configuration."""
    await use_cases(request).mail_servers.delete(current_principal(request), number, precondition)
    return Response(status_code=204)
