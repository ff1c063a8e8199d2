"""The caller: its name, its permissions in words, its own password and sessions; and all permissions."""

from collections.abc import Iterable
from typing import Annotated, Any

from fastapi import Body, Request, Response
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from mailsettings.dialects.v1.lists import whole_list
from mailsettings.dialects.v1.operations import NO_QUERY, WITH_BODY, example, json_response, new_router, not_found
from mailsettings.domain.access import MEANINGS, MIN_PASSWORD_LENGTH, AccountKind, Permission
from mailsettings.domain.errors import LoginRefused
from mailsettings.web.auth import current_principal
from mailsettings.web.dialect import use_cases
from mailsettings.web.negotiation import NO_STORE
from mailsettings.web.request_errors import FieldError, ParameterInvalid

TAG = "Me"

router = new_router(TAG, behind_permission=False)


class PermissionView(BaseModel):
    """A permission that accounts and tokens can have."""

    name: str = Field(description="Name of the permission.")
    allows: list[str] = Field(description="What it allows, in sentences.")


class PermissionList(BaseModel):
    """All permissions."""

    items: list[PermissionView] = Field(description="The permissions, by name.")
    next_cursor: str | None = Field(description="Always null: the list has one page.")


class Me(BaseModel):
    """The caller of this request."""

    name: str = Field(description="Name of the caller, as in the audit log.")
    kind: AccountKind | None = Field(
        description="`user` for a person, `client` for a machine; null for a token without an account here."
    )
    permissions: list[PermissionView] = Field(description="What the caller may do.")


class OwnPassword(BaseModel):
    """The current password of the caller, and its new password."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    current_password: Annotated[SecretStr, Field(description="The current password.")]
    new_password: Annotated[SecretStr, Field(min_length=MIN_PASSWORD_LENGTH, description="The new password.")]


_PERMISSION: dict[str, Any] = {"name": "view-audit-log", "allows": [MEANINGS[Permission.AUDIT_READ]]}


@router.get(
    "/v1/me",
    operation_id="get_me",
    summary="Get the caller",
    response_description="The caller.",
    response_model=Me,
    responses={200: example({"name": "alice", "kind": "user", "permissions": [_PERMISSION]})},
    dependencies=[NO_QUERY],
)
async def get_me(request: Request) -> Response:
    """Return name and permissions of the caller. Every valid access token is enough."""
    caller = current_principal(request)
    kind = await use_cases(request).own_account.kind(caller)
    me = Me(name=caller.name, kind=kind, permissions=list(_permissions(request, caller.permissions)))
    return json_response(me.model_dump(mode="json"))


@router.put(
    "/v1/me/password",
    operation_id="set_own_password",
    summary="Change your own password",
    status_code=204,
    response_description="The password is changed; all tokens of the account are invalid.",
    response_class=Response,
    responses={**not_found("The token does not stand for the account of a person."), **WITH_BODY},
    dependencies=[NO_QUERY],
)
async def set_own_password(
    request: Request,
    sent: Annotated[
        OwnPassword,
        Body(
            openapi_examples={
                "example": {
                    "value": {"current_password": "correct horse", "new_password": "correct horse battery"}
                }
            }
        ),
    ],
) -> Response:
    """Change the password of the account that the token stands for, and end all its sessions.

    A wrong current password counts as a failed login: after some of them the caller must wait (429).
    """
    try:
        await use_cases(request).own_account.set_password(
            current_principal(request),
            sent.current_password.get_secret_value(),
            sent.new_password.get_secret_value(),
        )
    except LoginRefused:
        sentence = "current_password is wrong."
        raise ParameterInvalid(sentence, [FieldError("body", ("current_password",), sentence, "wrong")]) from None
    return Response(status_code=204, headers=NO_STORE)


@router.delete(
    "/v1/me/sessions",
    operation_id="end_own_sessions",
    summary="End all your sessions",
    status_code=204,
    response_description="All tokens of the account are invalid, also the token of this request.",
    response_class=Response,
    responses=not_found("The token does not stand for an account."),
    dependencies=[NO_QUERY],
)
async def end_own_sessions(request: Request) -> Response:
    """Make all tokens of the account invalid, for example after one was lost. The password stays."""
    await use_cases(request).own_account.end_sessions(current_principal(request))
    return Response(status_code=204, headers=NO_STORE)


@router.get(
    "/v1/permissions",
    operation_id="list_permissions",
    summary="List all permissions",
    response_description="The permissions.",
    response_model=PermissionList,
    responses={200: example({"items": [_PERMISSION], "next_cursor": None})},
    dependencies=[NO_QUERY],
)
async def list_permissions(request: Request) -> Response:
    """Return the names of the permissions that accounts can have, and what each allows."""
    return whole_list(each.model_dump() for each in _permissions(request, Permission))


def _permissions(request: Request, held: Iterable[Permission]) -> Iterable[PermissionView]:
    """Yield the grants that need nothing but the permissions *held*, by name."""
    available = frozenset(held)
    for name, allowed in sorted(use_cases(request).grants.items()):
        if allowed and allowed <= available:
            yield PermissionView(name=name, allows=[MEANINGS[permission] for permission in sorted(allowed)])
