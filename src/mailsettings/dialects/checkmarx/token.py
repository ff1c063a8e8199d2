"""The token endpoint of the vendor's clients, compatible with IdentityServer.

Two grants: the password of a user (RFC 6749 4.3), which the vendor's clients use, and the secret of a client
(4.4), for machines. Every error is a 400, as from the vendor's server, except for the 429 of throttled logins.
"""

import base64
import binascii
import hmac
from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated
from urllib.parse import unquote_plus

from fastapi import APIRouter, Form, Request, Response
from starlette.responses import JSONResponse

from mailsettings.dialects.checkmarx import examples
from mailsettings.dialects.checkmarx import schemas as wire
from mailsettings.dialects.checkmarx.addressing import DISCOVERY, KEYS, TOKEN
from mailsettings.domain.access import AccountKind
from mailsettings.domain.errors import LoginRefused, TooManyLogins
from mailsettings.web.auth import origin_of
from mailsettings.web.dialect import use_cases
from mailsettings.web.negotiation import NO_STORE
from mailsettings.web.openapi import Responses, error_responses
from mailsettings.web.routing import StrictRoute

SCOPES = {"sast_rest_api", "access_control_api", "sast_api", "offline_access"}
"""The scopes that clients request; permissions depend on the account alone, so scopes change nothing."""

_NO_CACHE = {**NO_STORE, "Pragma": "no-cache"}  # RFC 6749 5.1
_DISCOVERY_ERRORS = error_responses(
    wire.ErrorViewModel, 400, "default", on_400="The Host header names another service."
)
_TOKEN_RESULTS: Responses = {
    200: {"content": {"application/json": {"example": examples.TOKEN}}},
    **error_responses(wire.TokenErrorModel, 400, 413, 415, 429, 503, "default", on_400="No token (RFC 6749 5.2)."),
}
TAG = "Checkmarx: log in"

router = APIRouter(route_class=StrictRoute, tags=[TAG])


class TokenRequestError(Exception):
    """An error of RFC 6749 5.2; some clients compare its *description*."""

    def __init__(self, error: str, description: str | None = None) -> None:
        super().__init__(error)
        self.answer = wire.TokenErrorModel(error=error, error_description=description)


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
        await _require_each_once(request)
        await _require_client_secret(request, form)
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
    return JSONResponse(answer.model_dump(exclude_none=True), headers=_NO_CACHE)


async def _require_each_once(request: Request) -> None:
    """Refuse repeated parameters (RFC 6749 3.2); `username` and `userName` count as the same parameter."""
    sent = (await request.form()).multi_items()
    given = {name for name, value in sent if value}
    if len({name for name, _ in sent}) != len(sent) or {"username", "userName"} <= given:
        raise TokenRequestError("invalid_request", "a parameter is repeated")


def _login(request: Request, form: wire.TokenRequest) -> tuple[AccountKind, str, str]:
    """Return the kind, name and secret of the account that logs in. Raises `TokenRequestError`."""
    if not form.grant_type:
        raise TokenRequestError("invalid_request", "grant_type is missing")
    if form.grant_type not in _INVALID_CREDENTIALS:
        raise TokenRequestError("unsupported_grant_type")
    # Split at any white space: the scope of one client ends with a line feed.
    if not SCOPES.issuperset(form.scope.split()):
        raise TokenRequestError("invalid_scope")
    if form.grant_type == "client_credentials":
        return AccountKind.CLIENT, *_client(request, form)
    return AccountKind.USER, *_user(form)


def _client(request: Request, form: wire.TokenRequest) -> tuple[str, str]:
    """Return id and secret of the OAuth2 client, from Basic or the form (RFC 6749 2.3.1); empty if missing."""
    shown = _basic(request)
    if shown is not None:
        return shown
    return form.client_id or "", form.client_secret.get_secret_value() if form.client_secret else ""


def _basic(request: Request) -> tuple[str, str] | None:
    scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, _, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        raise TokenRequestError("invalid_client") from None
    return unquote_plus(name), unquote_plus(secret)


async def _require_client_secret(request: Request, form: wire.TokenRequest) -> None:
    """Check the client secret of the settings at the login of a user; failed attempts are throttled."""
    expected = use_cases(request).client_secret
    if expected is None or form.grant_type != "password":
        return
    _, shown = _client(request, form)
    if not hmac.compare_digest(_bytes(shown), _bytes(expected)):
        await use_cases(request).log_in.note_wrong_client(origin_of(request.scope))
        raise TokenRequestError("invalid_client")


def _user(form: wire.TokenRequest) -> tuple[str, str]:
    name = form.username or form.user_name
    if not name or form.password is None:
        raise TokenRequestError(*_INVALID_CREDENTIALS["password"])
    return name, form.password.get_secret_value()


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _error_response(
    refused: TokenRequestError, status: int = 400, headers: Mapping[str, str] = MappingProxyType({})
) -> Response:
    return JSONResponse(refused.answer.model_dump(exclude_none=True), status, {**_NO_CACHE, **headers})
