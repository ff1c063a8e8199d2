"""The token endpoint of the vendor's clients, compatible with IdentityServer.

Two grants: the password of a user (RFC 6749 4.3), which the vendor's clients use, and the secret of a client
(4.4), for machines. Every error is a 400, as from the vendor's server, except for the 429 of throttled logins.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated

from fastapi import APIRouter, Form, Request, Response
from starlette.responses import JSONResponse

from mailsettings.dialects.checkmarx import examples
from mailsettings.dialects.checkmarx import schemas as wire
from mailsettings.dialects.checkmarx.addressing import DISCOVERY, KEYS, TOKEN
from mailsettings.domain.access import AccountKind
from mailsettings.domain.errors import LoginRefused, TooManyLogins
from mailsettings.web.auth import origin_of
from mailsettings.web.dialect import use_cases
from mailsettings.web.openapi import Responses, error_responses
from mailsettings.web.routing import StrictRoute
from mailsettings.web.token_endpoint import (
    NO_CACHE,
    TokenRequestError,
    client_credentials,
    require_client_secret,
    require_each_once,
    require_grant_type,
)

SCOPES = {"sast_rest_api", "access_control_api", "sast_api", "offline_access"}
"""The scopes that clients request; permissions depend on the account alone, so scopes change nothing."""

_DISCOVERY_ERRORS = error_responses(
    wire.ErrorViewModel, 400, "default", on_400="The Host header names another service."
)
_TOKEN_RESULTS: Responses = {
    200: {"content": {"application/json": {"example": examples.TOKEN}}},
    **error_responses(wire.TokenErrorModel, 400, 413, 415, 429, 503, "default", on_400="No token (RFC 6749 5.2)."),
}
TAG = "Checkmarx: log in"

router = APIRouter(route_class=StrictRoute, tags=[TAG])


_INVALID_CREDENTIALS = {
    # A client of the vendor compares with exactly these words.
    "password": ("invalid_grant", "invalid_username_or_password"),
    "client_credentials": ("invalid_client", None),
}
"""The error and description for a wrong name or secret, by grant. These are not exceptions: a shared exception
would keep the frames in which it was raised, and the secrets in them."""


@router.get(
    DISCOVERY,
    operation_id="getOpenIdConfiguration",
    summary="Discover",
    response_description="The addresses.",
    response_model=wire.DiscoveryModel,
    responses={200: {"content": {"application/json": {"example": examples.DISCOVERY}}}, **_DISCOVERY_ERRORS},
    openapi_extra={"security": []},
)
async def discover(request: Request) -> Response:
    """Return the token endpoint and the keys that verify its tokens, as in OpenID Connect Discovery."""
    base = (use_cases(request).public_url or str(request.base_url)).rstrip("/")
    answer = wire.DiscoveryModel(
        issuer=use_cases(request).issuer, jwks_uri=f"{base}{KEYS}", token_endpoint=f"{base}{TOKEN}"
    )
    return JSONResponse(answer.model_dump())


@router.get(
    KEYS,
    operation_id="getJsonWebKeySet",
    summary="Get the keys",
    response_description="The keys in use.",
    response_model=wire.JsonWebKeySet,
    responses={
        200: {"content": {"application/json": {"example": examples.KEYS}}},
        **_DISCOVERY_ERRORS,
        **error_responses(wire.ErrorViewModel, 503),
    },
    openapi_extra={"security": []},
)
async def list_keys(request: Request) -> Response:
    """Return the public keys that verify the access tokens of this service (RFC 7517)."""
    return JSONResponse(dict(await use_cases(request).json_web_keys()))


@router.post(
    TOKEN,
    operation_id="requestToken",
    summary="Log in",
    response_description="The access token.",
    response_model=wire.AccessTokenModel,
    responses=_TOKEN_RESULTS,
    openapi_extra={"security": []},
)
async def issue_token(request: Request, form: Annotated[wire.TokenRequest, Form()]) -> Response:
    """Exchange the name and the secret of an account for an access token that all APIs of this service accept.

    A user sends a password with `grant_type=password`, a client its secret with `grant_type=client_credentials`.
    """
    try:
        await require_each_once(request, "username", "userName")
        if form.grant_type == "password":
            await require_client_secret(request, form.client_secret)
        token = await use_cases(request).log_in(*_login(request, form), origin_of(request.scope))
    except LoginRefused:
        return _error_response(TokenRequestError(*_INVALID_CREDENTIALS[form.grant_type]))
    except TokenRequestError as refused:
        return _error_response(refused)
    except TooManyLogins as delayed:
        wait = {"Retry-After": str(delayed.retry_after_seconds)}
        return _error_response(TokenRequestError("invalid_grant", str(delayed)), 429, wait)
    answer = wire.AccessTokenModel(
        access_token=token.text, expires_in=token.expires_in, scope=form.scope.strip() or None
    )
    return JSONResponse(answer.model_dump(exclude_none=True), headers=NO_CACHE)


def _login(request: Request, form: wire.TokenRequest) -> tuple[AccountKind, str, str]:
    """Return the kind, name and secret of the account that logs in. Raises `TokenRequestError`."""
    kind = require_grant_type(form.grant_type)
    # Split at any white space: the scope of one client ends with a line feed.
    if not SCOPES.issuperset(form.scope.split()):
        raise TokenRequestError("invalid_scope")
    if kind is AccountKind.CLIENT:
        return kind, *client_credentials(request, form.client_id, form.client_secret)
    return kind, *_user(form)


def _user(form: wire.TokenRequest) -> tuple[str, str]:
    name = form.username or form.user_name
    if not name or form.password is None:
        raise TokenRequestError(*_INVALID_CREDENTIALS["password"])
    return name, form.password.get_secret_value()


def _error_response(
    refused: TokenRequestError, status: int = 400, headers: Mapping[str, str] = MappingProxyType({})
) -> Response:
    answer = wire.TokenErrorModel(error=refused.error, error_description=refused.description)
    return JSONResponse(answer.model_dump(exclude_none=True), status, {**NO_CACHE, **headers})
