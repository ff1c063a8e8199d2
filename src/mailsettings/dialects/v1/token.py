"""The token endpoint (RFC 6749): exchange a name and a secret for an access token."""

from typing import Annotated, Any, Literal

from fastapi import Form, Request, Response
from pydantic import BaseModel, ConfigDict, Field, SecretStr, WithJsonSchema
from pydantic.json_schema import SkipJsonSchema

from mailsettings.dialects.v1.operations import example, json_response, new_router
from mailsettings.domain.access import AccountKind
from mailsettings.domain.errors import LoginRefused, TooManyLogins
from mailsettings.web.auth import origin_of
from mailsettings.web.dialect import use_cases
from mailsettings.web.errors import ErrorResponse, ErrorStyle
from mailsettings.web.openapi import Int32, Responses, error_responses, single_value
from mailsettings.web.request_errors import UnsupportedContentType
from mailsettings.web.token_endpoint import (
    NO_CACHE,
    TokenRequestError,
    client_credentials,
    require_client_secret,
    require_each_once,
    require_grant_type,
)

PATH = "/v1/token"
TAG = "Log in"


def _without_default(schema: dict[str, Any]) -> None:
    """Remove the default, which marks a missing member and is not a valid value."""
    del schema["default"]


class LoginForm(BaseModel):
    """The form parameters of both grants (RFC 6749 4.3.2 and 4.4.2)."""

    # grant_type is optional here, so that its absence becomes an error of RFC 6749 5.2.
    model_config = ConfigDict(hide_input_in_errors=True, json_schema_extra={"required": ["grant_type"]})

    grant_type: Annotated[
        str,
        WithJsonSchema({"type": "string", "enum": ["password", "client_credentials"]}),
        Field(
            description="`password` for a person, `client_credentials` for a machine.",
            json_schema_extra=_without_default,
        ),
    ] = ""
    username: Annotated[str | SkipJsonSchema[None], Field(description="Name of the account of a person.")] = None
    password: Annotated[SecretStr | SkipJsonSchema[None], Field(description="Password of that account.")] = None
    client_id: Annotated[str | SkipJsonSchema[None], Field(description="Name of the account of a machine.")] = None
    client_secret: Annotated[SecretStr | SkipJsonSchema[None], Field(description="Secret of that account.")] = None


class AccessToken(BaseModel):
    """An access token (RFC 6749 5.1)."""

    access_token: Annotated[str, Field(description="Send it as `Authorization: Bearer <access_token>`.")]
    token_type: Annotated[
        Literal["Bearer"], single_value("Bearer"), Field(description="How the token is sent (RFC 6750).")
    ] = "Bearer"  # noqa: S105  # a scheme, not a token
    expires_in: Annotated[
        int, WithJsonSchema({**Int32, "minimum": 1}), Field(description="Seconds until the token expires.")
    ]


class TokenProblem(BaseModel):
    """Why there is no token (RFC 6749 5.2)."""

    error: Annotated[str, Field(description="Error code of RFC 6749, such as `invalid_grant`.")]
    error_description: Annotated[str | SkipJsonSchema[None], Field(description="What is wrong.")] = None


STYLE = ErrorStyle(
    body=lambda error: {"error": error.code, "error_description": error.message},
    fields={},
    codes={
        **dict.fromkeys((400, 401, 403, 404, 405, 409, 412, 413, 415, 429), "invalid_request"),
        # RFC 6749 5.2 has no codes for these two cases, 4.1.2.1 has.
        503: "temporarily_unavailable",
        500: "server_error",
    },
    # Without a form its parameters are missing, which is a 400 (RFC 6749 5.2).
    answers={UnsupportedContentType: ErrorResponse(400, "invalid_request")},
)
"""The token endpoint answers each error in the shape of OAuth 2.0 (RFC 6749 5.2)."""

_RESULTS: Responses = {
    200: example({"access_token": "eyJhbGciOiJFUzI1NiJ9.e30.c2ln", "token_type": "Bearer", "expires_in": 3600}),
    **error_responses(
        TokenProblem,
        *(400, 401, 413, 415, 429, 503, "default"),
        on_400="No token (RFC 6749 5.2).",
        on_401="The secret in the header Authorization is wrong (RFC 6749 5.2).",
    ),
}

router = new_router(TAG)
router.responses = {}  # not behind an access token


@router.post(
    PATH,
    operation_id="get_token",
    summary="Log in",
    response_description="The access token.",
    response_model=AccessToken,
    responses=_RESULTS,
    openapi_extra={"security": []},
)
async def issue_token(request: Request, form: Annotated[LoginForm, Form()]) -> Response:
    """Exchange the name and the secret of an account for an access token that all APIs of this service accept.

    A person sends a password with `grant_type=password`, a machine its secret with
    `grant_type=client_credentials`, in the form or by HTTP Basic.
    """
    try:
        await require_each_once(request)
        kind = require_grant_type(form.grant_type)
        if kind is AccountKind.USER:
            await require_client_secret(request, form.client_secret)
        token = await use_cases(request).log_in(kind, *_login(request, form, kind), origin_of(request.scope))
    except LoginRefused:
        return _wrong_secret(request, kind)
    except TokenRequestError as refused:
        if refused.error == "invalid_client":
            return _wrong_secret(request, AccountKind.CLIENT)
        return _refusal(refused.error, refused.description)
    except TooManyLogins as delayed:
        # RFC 6749 has no code for this case; clients know `invalid_grant`, and 429 says when to try again.
        return _refusal("invalid_grant", str(delayed), 429, {"Retry-After": str(delayed.retry_after_seconds)})
    answer = AccessToken(access_token=token.text, expires_in=token.expires_in)
    return json_response(answer.model_dump(), headers=NO_CACHE)


def _login(request: Request, form: LoginForm, kind: AccountKind) -> tuple[str, str]:
    if kind is AccountKind.CLIENT:
        return client_credentials(request, form.client_id, form.client_secret)
    if not form.username or form.password is None:
        raise LoginRefused
    return form.username, form.password.get_secret_value()


def _wrong_secret(request: Request, kind: AccountKind) -> Response:
    """Return `invalid_client` or `invalid_grant`; a client that used Basic must get a 401 (RFC 6749 5.2)."""
    if kind is AccountKind.USER:
        return _refusal("invalid_grant", "The user name or the password is wrong.")
    if "authorization" in request.headers:
        challenge = {"WWW-Authenticate": 'Basic realm="mail-settings"'}
        return _refusal("invalid_client", "The client id or the secret is wrong.", 401, challenge)
    return _refusal("invalid_client", "The client id or the secret is wrong.")


def _refusal(
    error: str, description: str | None, status: int = 400, headers: dict[str, str] | None = None
) -> Response:
    body = TokenProblem(error=error, error_description=description).model_dump(exclude_none=True)
    return json_response(body, status, {**NO_CACHE, **(headers or {})})
