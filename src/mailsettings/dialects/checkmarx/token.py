"""The token endpoint that the vendor's clients log in at, in the manner of IdentityServer.

One grant: the resource owner's password (RFC 6749 4.3). Every refusal is a 400, as seen from the vendor's.
"""

import base64
import binascii
import hmac
from typing import Annotated, Any
from urllib.parse import unquote_plus

from fastapi import APIRouter, Form, Request, Response
from starlette.responses import JSONResponse

from mailsettings.dialects.checkmarx import schemas as wire
from mailsettings.dialects.checkmarx.paths import TOKEN
from mailsettings.domain.errors import LoginRefused
from mailsettings.web.dialect import use_cases
from mailsettings.web.routing import StrictRoute

SCOPES = {"sast_rest_api", "access_control_api", "sast_api", "offline_access"}
"""What clients ask for; permissions come from the account, so a scope adds and takes away nothing."""

_NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}  # RFC 6749 5.1
_ERRORS: dict[int | str, dict[str, Any]] = {
    400: {"model": wire.TokenErrorModel, "description": "No token (RFC 6749 5.2)."},
    "default": {"model": wire.ErrorViewModel, "description": "Any other refusal."},
}

router = APIRouter(route_class=StrictRoute, tags=["Checkmarx: log in"], responses=_ERRORS)


class TokenRefused(Exception):
    """An error of RFC 6749 5.2; *description* is for clients that compare it."""

    def __init__(self, error: str, description: str | None = None) -> None:
        super().__init__(error)
        self.answer = wire.TokenErrorModel(error=error, error_description=description)


@router.post(
    TOKEN,
    summary="Log in",
    response_model=wire.AccessTokenModel,
    openapi_extra={"security": []},
)
async def issue_token(request: Request, form: Annotated[wire.TokenRequest, Form()]) -> Response:
    """Exchange a user name and a password for an access token that opens all APIs of this service."""
    try:
        _require_client(request, form)
        _require_known(form)
        account = await use_cases(request).accounts.log_in(*_credentials(form))
    except LoginRefused:
        # The very words that a client of the vendor compares with.
        return _refusal(TokenRefused("invalid_grant", "invalid_username_or_password"))
    except TokenRefused as refused:
        return _refusal(refused)
    token = use_cases(request).issue_token(account)
    answer = wire.AccessTokenModel(
        access_token=token.text, expires_in=token.expires_in, scope=form.scope.strip() or None
    )
    return JSONResponse(answer.model_dump(exclude_none=True), headers=_NO_STORE)


def _require_client(request: Request, form: wire.TokenRequest) -> None:
    """Any client will do, unless the settings name a secret; shown by form or by Basic (RFC 6749 2.3.1)."""
    expected = use_cases(request).client_secret
    if expected is None:
        return
    shown = _basic_secret(request) or (form.client_secret.get_secret_value() if form.client_secret else "")
    if not hmac.compare_digest(shown.encode(), expected.encode()):
        raise TokenRefused("invalid_client")


def _basic_secret(request: Request) -> str | None:
    scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        _, _, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        raise TokenRefused("invalid_client") from None
    return unquote_plus(secret)


def _require_known(form: wire.TokenRequest) -> None:
    if not form.grant_type:
        raise TokenRefused("invalid_request", "grant_type is missing")
    if form.grant_type != "password":
        raise TokenRefused("unsupported_grant_type")
    # Split at any white space: one client ends its scope with a line feed.
    if not SCOPES.issuperset(form.scope.split()):
        raise TokenRefused("invalid_scope")


def _credentials(form: wire.TokenRequest) -> tuple[str, str]:
    name = form.username or form.user_name
    if not name or form.password is None:
        raise TokenRefused("invalid_grant", "invalid_username_or_password")
    return name, form.password.get_secret_value()


def _refusal(refused: TokenRefused) -> Response:
    return JSONResponse(refused.answer.model_dump(exclude_none=True), 400, _NO_STORE)
