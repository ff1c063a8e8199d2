"""The form of errors in `/v1`: problem details (RFC 9457), each with a stable code.

`CODES` lists every code; docs/v1.md explains them. A code is stable; a title and a detail are for people.
"""

from collections.abc import Mapping
from typing import Annotated

from pydantic import BaseModel, Field, WithJsonSchema
from pydantic.json_schema import SkipJsonSchema

from mailsettings.domain import errors
from mailsettings.domain.setting import Setting
from mailsettings.web import request_errors
from mailsettings.web.errors import ErrorResponse, ErrorStyle, ProblemDetails
from mailsettings.web.openapi import Int32
from mailsettings.web.request_errors import FieldError

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:mail-settings:problem:"

CODES: Mapping[str, str] = {
    "account_exists": "The account exists already",
    "account_not_found": "No such account",
    "body_incomplete": "The body is incomplete",
    "body_too_large": "The body is too large",
    "conflict": "The request does not fit the current state",
    "default_mail_server_in_use": "The mail server is the default",
    "device_disabled": "The device is disabled",
    "device_not_found": "No such device",
    "host_not_allowed": "The Host header is not accepted",
    "idempotency_key_reused": "The idempotency key was used for another request",
    "internal_error": "The service failed",
    "invalid_request": "The request is not valid",
    "issuer_unavailable": "The issuer of the access token is unavailable",
    "key_refused": "The key cannot be changed",
    "last_account_manager": "The last account that manages accounts",
    "mail_server_disabled": "The mail server is disabled",
    "mail_server_not_found": "No such mail server",
    "malformed_body": "The body is not valid JSON",
    "method_not_allowed": "The method is not supported here",
    "name_taken": "The name is in use",
    "network_taken": "Another device trusts the network",
    "not_authenticated": "The access token is missing or not valid",
    "outcome_unknown": "The outcome of the first request is unknown",
    "path_not_found": "No such path",
    "permission_denied": "A permission is missing",
    "precondition_failed": "The resource has changed",
    "preset_not_found": "No such preset",
    "request_in_progress": "The first request is still in progress",
    "relay_not_running": "No relay runs",
    "secret_needed_again": "The secret must be sent again",
    "secret_unreadable": "The stored secret cannot be decrypted",
    "signing_key_not_found": "No such signing key",
    "store_unavailable": "The database is unavailable",
    "too_many_requests": "Too many requests",
    "unsupported_media_type": "The media type of the body is not supported",
    "version_not_found": "No such version",
}
"""The title of each code."""

_ANSWERS: Mapping[type[Exception], tuple[int, str]] = {
    errors.AccountExists: (409, "account_exists"),
    errors.AccountNotFound: (404, "account_not_found"),
    errors.DefaultMailServerInUse: (409, "default_mail_server_in_use"),
    errors.DeviceDisabled: (409, "device_disabled"),
    errors.DeviceNotFound: (404, "device_not_found"),
    errors.IdempotencyKeyReused: (409, "idempotency_key_reused"),
    errors.IdentityUnavailable: (503, "issuer_unavailable"),
    errors.KeyRefused: (409, "key_refused"),
    errors.LastAccountManager: (409, "last_account_manager"),
    errors.MailServerDisabled: (409, "mail_server_disabled"),
    errors.MailServerNotFound: (404, "mail_server_not_found"),
    errors.NameTaken: (409, "name_taken"),
    errors.NetworkTaken: (409, "network_taken"),
    errors.NoSuchVersion: (404, "version_not_found"),
    errors.OutcomeUnknown: (409, "outcome_unknown"),
    errors.PresetNotFound: (404, "preset_not_found"),
    errors.RequestInProgress: (409, "request_in_progress"),
    errors.RelayNotRunning: (409, "relay_not_running"),
    errors.SecretNeededAgain: (400, "secret_needed_again"),
    errors.SecretUnreadable: (409, "secret_unreadable"),
    errors.SigningKeyNotFound: (404, "signing_key_not_found"),
    request_errors.HostNotAllowed: (400, "host_not_allowed"),
    request_errors.IncompleteBody: (400, "body_incomplete"),
    request_errors.MalformedBody: (400, "malformed_body"),
}
_CODES_BY_STATUS: Mapping[int, str] = {
    400: "invalid_request",
    401: "not_authenticated",
    403: "permission_denied",
    404: "path_not_found",
    405: "method_not_allowed",
    409: "conflict",
    412: "precondition_failed",
    413: "body_too_large",
    415: "unsupported_media_type",
    429: "too_many_requests",
    500: "internal_error",
    503: "store_unavailable",
}


class ProblemField(BaseModel):
    """One part of the request that is not accepted: it has a `pointer` or a `parameter`."""

    pointer: Annotated[
        str | SkipJsonSchema[None],
        Field(
            description="JSON Pointer to the member of the body, as a URI fragment (RFC 6901 6).",
            examples=["#/sender/address"],
        ),
    ] = None
    parameter: Annotated[
        str | SkipJsonSchema[None],
        Field(description="Name of the parameter in the query, the path or a header.", examples=["limit"]),
    ] = None
    detail: Annotated[str, Field(description="What is wrong, for people.")]
    code: Annotated[str, Field(description="Name of the kind of error, for programs.", examples=["missing"])]


class Problem(BaseModel):
    """Why a request was refused (RFC 9457)."""

    type: Annotated[
        str,
        Field(description="Name of the kind of problem: a URN that ends with `code`."),
        WithJsonSchema({"type": "string", "format": "uri"}),
    ]
    title: Annotated[str, Field(description="The kind of problem in a few words; the same for each `code`.")]
    status: Annotated[int, WithJsonSchema(Int32), Field(description="The status of the response.")]
    detail: Annotated[str, Field(description="What is wrong and what to do.")]
    code: Annotated[str, Field(description="Name of the kind of problem, for programs.")]
    request_id: Annotated[str | SkipJsonSchema[None], Field(description="The `X-Request-ID` of the request.")] = (
        None
    )
    errors: Annotated[
        list[ProblemField] | SkipJsonSchema[None],
        Field(description="Every part of the request that is not accepted."),
    ] = None


def problem_body(error: ProblemDetails) -> dict[str, object]:
    """Return the members of a `Problem`; members without a value are left out."""
    # A URN, because `type` identifies the kind and need not lead to a page (RFC 9457 3.1.1).
    code = error.code or "internal_error"
    body: dict[str, object] = {
        "type": f"{TYPE_PREFIX}{code}",
        "title": CODES.get(code, code),
        "status": error.status,
        "detail": error.message,
        "code": code,
    }
    if error.request_id is not None:
        body["request_id"] = error.request_id
    if error.fields:
        body["errors"] = [_field(field) for field in error.fields]
    return body


def _field(field: FieldError) -> dict[str, str]:
    if field.source == "body":
        where = {"pointer": "#" + "".join(f"/{_escaped(part)}" for part in field.path)}
    else:
        where = {"parameter": ".".join(map(str, field.path))}
    return {**where, "detail": field.sentence, "code": field.code}


def _escaped(part: str | int) -> str:
    """Return a reference token (RFC 6901 3); names of members need no percent-encoding."""
    return str(part).replace("~", "~0").replace("/", "~1")


FIELDS: Mapping[Setting, str] = {
    **{setting: setting.value.replace(" ", "_").lower() for setting in Setting},
    Setting.AUTHENTICATION: "authentication.kind",
    Setting.CERTIFICATE: "trust.pem",
    Setting.CLIENT_ID: "authentication.client_id",
    Setting.CLIENT_SECRET: "authentication.client_secret",
    Setting.DEFAULT_CREDENTIALS: "authentication.kind",
    Setting.PASSWORD: "authentication.password",
    Setting.SECURITY: "security",
    Setting.SENDER_ADDRESS: "sender.address",
    Setting.SENDER_NAME: "sender.name",
    Setting.TENANT: "authentication.tenant",
    Setting.USERNAME: "authentication.username",
}
"""This API's name for each setting."""

FIELDS_BELOW_SETTINGS: Mapping[Setting, str] = {
    setting: name if setting is Setting.RECIPIENT else f"settings.{name}" for setting, name in FIELDS.items()
}
"""The same for requests with the settings of a mail server in the member `settings`."""

STYLE = ErrorStyle(
    body=problem_body,
    fields=FIELDS,
    codes=_CODES_BY_STATUS,
    answers={kind: ErrorResponse(*answer) for kind, answer in _ANSWERS.items()},
    media_type=MEDIA_TYPE,
)
