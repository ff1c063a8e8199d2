"""Accounts of people and clients (machines): both have the same operations, and differ in their secrets.

A person's password is given; the secret of a client is made here and shown once.
"""

import secrets
from collections.abc import Collection
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Body, Path, Query, Request, Response

from mailsettings.dialects.v1.accounts import schemas as wire
from mailsettings.dialects.v1.operations import NO_QUERY, WITH_BODY, example, json_response, new_router, not_found
from mailsettings.dialects.v1.paging import LINKED, PageQuery, page_response
from mailsettings.dialects.v1.problems import Problem
from mailsettings.domain.access import Account, AccountKind, Permission
from mailsettings.web.auth import current_principal
from mailsettings.web.dialect import use_cases
from mailsettings.web.negotiation import NO_STORE
from mailsettings.web.openapi import Responses, error_responses, header_references
from mailsettings.web.request_errors import FieldError, ParameterInvalid
from mailsettings.web.routing import requires_permission

ACCOUNTS, CLIENTS = "/v1/accounts", "/v1/clients"
ACCOUNTS_TAG, CLIENTS_TAG = "Accounts", "Clients"
SECRET_BYTES = 32


AccountName = Annotated[str, Path(description="Name of the account.", examples=["alice"])]
_VIEW: dict[str, Any] = {
    "name": "alice",
    "permissions": ["view-mail-settings"],
    "created_at": "2026-11-21T10:15:30Z",
    "last_login_at": "2026-11-27T08:00:12.123456Z",
    "failed_logins": 0,
    "locked_until": None,
}
_SECRET = {"name": "scanner", "secret": "Jr0pJbYb0K2l8mE3cS6uR1vX4zA7dF9hN5qT8wYiU2o"}
_TAKEN: Responses = error_responses(Problem, 409, on_409="An account or client of this name exists.")
_LAST: Responses = error_responses(
    Problem, 409, on_409="This is the last account that may manage accounts; see `even_last`."
)


def _body(value: dict[str, Any]) -> Any:
    return Body(openapi_examples={"example": {"value": value}})


accounts = new_router(ACCOUNTS_TAG)
clients = new_router(CLIENTS_TAG)


@accounts.post(
    ACCOUNTS,
    operation_id="create_account",
    summary="Create an account of a person",
    status_code=201,
    response_description="The account.",
    response_model=wire.AccountView,
    responses={201: {**example(_VIEW), **header_references("Location")}, **_TAKEN, **WITH_BODY},
    dependencies=[NO_QUERY],
)
@requires_permission(Permission.ACCOUNTS_MANAGE)
async def create_account(
    request: Request,
    sent: Annotated[
        wire.NewAccount,
        _body({"name": "alice", "permissions": ["view-mail-settings"], "password": "correct horse battery"}),
    ],
) -> Response:
    """Create an account of a person, who logs in with a password. Give only permissions that you have."""
    account = Account(sent.name, _known(request, sent.permissions))
    await use_cases(request).accounts.add(current_principal(request), account, sent.password.get_secret_value())
    return await _shown(request, AccountKind.USER, sent.name, 201, _location(request, ACCOUNTS, sent.name))


@clients.post(
    CLIENTS,
    operation_id="create_client",
    summary="Create a client",
    status_code=201,
    response_description="The secret of the client, which is not shown again.",
    response_model=wire.ClientCredentials,
    responses={201: {**example(_SECRET), **header_references("Location")}, **_TAKEN, **WITH_BODY},
    dependencies=[NO_QUERY],
)
@requires_permission(Permission.ACCOUNTS_MANAGE)
async def create_client(
    request: Request,
    sent: Annotated[wire.NewClient, _body({"name": "scanner", "permissions": ["view-mail-settings"]})],
) -> Response:
    """Create an account of a machine, which logs in with a secret. The response has the secret, once.

    If the response is lost, create a new secret.
    """
    account = Account(sent.name, _known(request, sent.permissions), AccountKind.CLIENT)
    secret = secrets.token_urlsafe(SECRET_BYTES)
    await use_cases(request).accounts.add(current_principal(request), account, secret)
    return json_response({"name": sent.name, "secret": secret}, 201, _location(request, CLIENTS, sent.name))


@accounts.put(
    f"{ACCOUNTS}/{{name}}/password",
    operation_id="set_account_password",
    summary="Set the password of an account",
    status_code=204,
    response_description="The password is set; all tokens of the account are invalid.",
    response_class=Response,
    responses={**not_found("No account has this name."), **WITH_BODY},
    dependencies=[NO_QUERY],
)
@requires_permission(Permission.ACCOUNTS_MANAGE)
async def set_account_password(
    request: Request,
    name: AccountName,
    sent: Annotated[wire.NewPassword, _body({"password": "correct horse battery"})],
) -> Response:
    """Set a new password of a person, for example a forgotten one."""
    await use_cases(request).accounts.set_password(
        current_principal(request), AccountKind.USER, name, sent.password.get_secret_value()
    )
    return _done()


@clients.post(
    f"{CLIENTS}/{{name}}/new-secret",
    operation_id="create_client_secret",
    summary="Replace the secret of a client",
    response_description="The new secret, which is not shown again.",
    response_model=wire.ClientCredentials,
    responses={200: example(_SECRET), **not_found("No client has this name.")},
    dependencies=[NO_QUERY],
)
@requires_permission(Permission.ACCOUNTS_MANAGE)
async def create_client_secret(request: Request, name: AccountName) -> Response:
    """Make a new secret; the old one and all tokens of the client become invalid."""
    secret = secrets.token_urlsafe(SECRET_BYTES)
    await use_cases(request).accounts.set_password(current_principal(request), AccountKind.CLIENT, name, secret)
    return json_response({"name": name, "secret": secret})


def _add_common_operations(router: APIRouter, kind: AccountKind, path: str, noun: str) -> None:
    """Add the operations that both kinds of accounts have; *noun* is `account` or `client`."""
    missing = not_found(f"No {noun} has this name.")

    @router.get(
        path,
        operation_id=f"list_{noun}s",
        summary=f"List {noun}s",
        response_description=f"A page of {noun}s, by name.",
        response_model=wire.AccountPage,
        responses={200: {**example({"items": [_VIEW], "next_cursor": None}), **LINKED[200]}},
    )
    @requires_permission(Permission.ACCOUNTS_MANAGE)
    async def list_(request: Request, query: Annotated[PageQuery, Query()]) -> Response:
        """Return names, permissions and waits after failed logins."""
        found = await use_cases(request).accounts.page(
            current_principal(request), kind, query.after or "", query.limit + 1
        )
        return page_response(
            request,
            query,
            found,
            lambda each: each.account.name,
            lambda each: wire.view(each).model_dump(mode="json"),
        )

    @router.get(
        f"{path}/{{name}}",
        operation_id=f"get_{noun}",
        summary=f"Get one {noun}",
        response_description=f"The {noun}.",
        response_model=wire.AccountView,
        responses={200: example(_VIEW), **missing},
        dependencies=[NO_QUERY],
    )
    @requires_permission(Permission.ACCOUNTS_MANAGE)
    async def get(request: Request, name: AccountName) -> Response:
        """Return its permissions and its wait after failed logins."""
        return await _shown(request, kind, name)

    @router.put(
        f"{path}/{{name}}/permissions",
        operation_id=f"set_{noun}_permissions",
        summary=f"Set the permissions of one {noun}",
        response_description=f"The {noun}.",
        response_model=wire.AccountView,
        responses={200: example(_VIEW), **missing, **_LAST, **WITH_BODY},
    )
    @requires_permission(Permission.ACCOUNTS_MANAGE)
    async def set_permissions(
        request: Request,
        name: AccountName,
        query: Annotated[wire.ChangeQuery, Query()],
        sent: Annotated[wire.PermissionNames, _body({"permissions": ["view-mail-settings"]})],
    ) -> Response:
        """Replace the permissions, effective at the next request. Give only permissions that you have."""
        await use_cases(request).accounts.set_grants(
            current_principal(request), kind, name, _known(request, sent.permissions), even_last=query.even_last
        )
        return await _shown(request, kind, name)

    @router.post(
        f"{path}/{{name}}/unlock",
        operation_id=f"unlock_{noun}",
        summary=f"Unlock one {noun}",
        status_code=204,
        response_description=f"The {noun} may log in at once.",
        response_class=Response,
        responses=missing,
        dependencies=[NO_QUERY],
    )
    @requires_permission(Permission.ACCOUNTS_MANAGE)
    async def unlock(request: Request, name: AccountName) -> Response:
        """Forget its failed logins, so that no wait remains."""
        await use_cases(request).accounts.unlock(current_principal(request), kind, name)
        return _done()

    @router.delete(
        f"{path}/{{name}}",
        operation_id=f"delete_{noun}",
        summary=f"Delete one {noun}",
        status_code=204,
        response_description=f"The {noun} is deleted; all its tokens are invalid.",
        response_class=Response,
        responses={**missing, **_LAST},
    )
    @requires_permission(Permission.ACCOUNTS_MANAGE)
    async def delete(request: Request, name: AccountName, query: Annotated[wire.ChangeQuery, Query()]) -> Response:
        """Delete it. Its name stays in the audit log."""
        await use_cases(request).accounts.remove(current_principal(request), kind, name, even_last=query.even_last)
        return _done()


_add_common_operations(accounts, AccountKind.USER, ACCOUNTS, "account")
_add_common_operations(clients, AccountKind.CLIENT, CLIENTS, "client")


def _known(request: Request, names: Collection[str]) -> frozenset[str]:
    """Return *names* if they are names of permissions. Raises `ParameterInvalid`."""
    known = use_cases(request).grants
    sentence = f"permissions must be names from this list: {', '.join(sorted(known))}."
    wrong = [
        FieldError("body", ("permissions", position), sentence, "not_a_choice")
        for position, name in enumerate(names)
        if name not in known
    ]
    if wrong:
        raise ParameterInvalid(sentence, wrong)
    return frozenset(names)


def _location(request: Request, path: str, name: str) -> dict[str, str]:
    base = use_cases(request).public_url or str(request.base_url)
    return {"Location": f"{base.rstrip('/')}{path}/{quote(name, safe='')}"}


async def _shown(
    request: Request, kind: AccountKind, name: str, status: int = 200, headers: dict[str, str] | None = None
) -> Response:
    found = await use_cases(request).accounts.get(current_principal(request), kind, name)
    return json_response(wire.view(found).model_dump(mode="json"), status, headers)


def _done() -> Response:
    return Response(status_code=204, headers=NO_STORE)
