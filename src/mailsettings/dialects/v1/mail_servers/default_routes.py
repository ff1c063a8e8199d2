"""The path operations on the default mail server, and on the day when a secret expires."""

import re
from contextlib import suppress
from datetime import date
from typing import Annotated

from fastapi import Body, Request, Response
from pydantic import BeforeValidator, Field, StrictInt, StrictStr, WithJsonSchema, model_validator

from mailsettings.dialects.v1.mail_servers import examples
from mailsettings.dialects.v1.mail_servers import schemas as wire
from mailsettings.dialects.v1.mail_servers.addressing import PATH, ServerRef, shown
from mailsettings.dialects.v1.mail_servers.routes import TAG
from mailsettings.dialects.v1.operations import CHANGED, NO_QUERY, WITH_BODY, example, new_router, not_found
from mailsettings.dialects.v1.problems import Problem
from mailsettings.dialects.v1.request_parts import WITHOUT_NULL, Input
from mailsettings.domain.access import Permission
from mailsettings.domain.naming import MailServerRef, mail_server_ref
from mailsettings.web.auth import current_principal
from mailsettings.web.dialect import use_cases
from mailsettings.web.negotiation import WritePrecondition
from mailsettings.web.openapi import Int32, Responses, error_responses, header_references
from mailsettings.web.routing import requires_permission

DEFAULT = f"{PATH}/default"
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_SHOWN: Responses = {200: {**example(examples.VIEW), **header_references("ETag")}}
_DISABLED = error_responses(Problem, 409, on_409="The mail server is disabled; enable it first.")
_NO_DEFAULT = not_found("No mail server is the default.")
_NOT_FOUND = not_found("No mail server has this id or name.")

router = new_router(TAG)


class DefaultChoice(Input):
    """The mail server to make the default: its id or its name, and only one of them."""

    id: Annotated[
        StrictInt | None,
        WITHOUT_NULL,
        WithJsonSchema({**Int32, "minimum": 1}),
        Field(ge=1, le=2**31 - 1, description="Id of the mail server."),
    ] = None
    name: Annotated[StrictStr | None, WITHOUT_NULL, Field(description="Name of the mail server.")] = None

    @model_validator(mode="after")
    def _require_one(self) -> "DefaultChoice":
        if (self.id is None) is (self.name is None):
            raise ValueError("must have either id or name.")
        return self

    @property
    def ref(self) -> MailServerRef:
        """The chosen mail server. Raises `MailServerNotFound` if the name cannot be one."""
        return self.id if self.id is not None else mail_server_ref(self.name or "")


def _day(value: object) -> date:
    # pydantic would also accept seconds since the epoch.
    if isinstance(value, str) and _DAY.fullmatch(value):
        with suppress(ValueError):  # such as 2027-02-30
            return date.fromisoformat(value)
    raise ValueError("must be a day like 2027-05-31.")


class SecretExpiry(Input):
    """The day on which a secret expires."""

    expires_on: Annotated[
        date,
        BeforeValidator(_day),
        Field(description="The day.", examples=["2027-05-31"]),
    ]


@router.get(
    DEFAULT,
    operation_id="get_default_mail_server",
    summary="Get the default mail server",
    response_description="The mail server.",
    response_model=wire.MailServerView,
    responses={**_SHOWN, **_NO_DEFAULT},
    dependencies=[NO_QUERY],
)
@requires_permission(Permission.MAIL_SERVERS_READ)
async def get_default_mail_server(request: Request) -> Response:
    """Return the mail server that the APIs with a single mail server show."""
    return await shown(request, await use_cases(request).mail_servers.overview(current_principal(request), None))


@router.put(
    DEFAULT,
    operation_id="set_default_mail_server",
    summary="Choose the default mail server",
    response_description="The mail server.",
    response_model=wire.MailServerView,
    responses={**_SHOWN, **_NOT_FOUND, **_DISABLED, **CHANGED, **WITH_BODY},
    dependencies=[NO_QUERY],
)
@requires_permission(Permission.MAIL_SERVERS_WRITE)
async def set_default_mail_server(
    request: Request,
    choice: Annotated[DefaultChoice, Body(openapi_examples=examples.CHOICES)],
    expected: WritePrecondition,
) -> Response:
    """Make a mail server the default, in place of any other. `If-Match` is about the default so far."""
    servers = use_cases(request).mail_servers
    return await shown(request, await servers.set_default(current_principal(request), choice.ref, expected))


@router.delete(
    DEFAULT,
    operation_id="clear_default_mail_server",
    summary="Leave no default",
    status_code=204,
    response_class=Response,
    response_description="No mail server is the default; all mail servers stay.",
    responses={**_NO_DEFAULT, **CHANGED},
    dependencies=[NO_QUERY],
)
@requires_permission(Permission.MAIL_SERVERS_WRITE)
async def clear_default_mail_server(request: Request, expected: WritePrecondition) -> Response:
    """Leave no default mail server; the mail server itself stays."""
    await use_cases(request).mail_servers.clear_default(current_principal(request), expected)
    return Response(status_code=204)


@router.put(
    f"{PATH}/{{ref}}/secret-expiry",
    operation_id="set_secret_expiry",
    summary="Enter when a secret expires",
    response_description="The mail server.",
    response_model=wire.MailServerView,
    responses={**_SHOWN, **_NOT_FOUND, **CHANGED, **WITH_BODY},
    dependencies=[NO_QUERY],
)
@requires_permission(Permission.MAIL_SERVERS_WRITE)
async def set_secret_expiry(
    request: Request,
    ref: ServerRef,
    expiry: Annotated[SecretExpiry, Body(openapi_examples=examples.EXPIRY)],
    expected: WritePrecondition,
) -> Response:
    """Enter on which day the stored secret expires; the scheduled checks warn before. A new secret clears it."""
    server_id = await use_cases(request).monitoring_status.set_secret_expiry(
        current_principal(request), ref, expiry.expires_on, expected
    )
    return await shown(request, server_id)


@router.delete(
    f"{PATH}/{{ref}}/secret-expiry",
    operation_id="clear_secret_expiry",
    summary="Forget when a secret expires",
    status_code=204,
    response_class=Response,
    response_description="No day is stored.",
    responses={**_NOT_FOUND, **CHANGED},
    dependencies=[NO_QUERY],
)
@requires_permission(Permission.MAIL_SERVERS_WRITE)
async def clear_secret_expiry(request: Request, ref: ServerRef, expected: WritePrecondition) -> Response:
    """Forget the day on which the stored secret expires."""
    await use_cases(request).monitoring_status.set_secret_expiry(current_principal(request), ref, None, expected)
    return Response(status_code=204)
