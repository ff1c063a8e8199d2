"""Shared parts of all OpenAPI documents: error responses, response headers, and bounds of numbers."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, WithJsonSchema

Responses = dict[int | str, dict[str, Any]]
"""Responses by status, in FastAPI's form."""
Json = dict[str, Any]

Int32 = {"type": "integer", "format": "int32"}
Int64 = {"type": "integer", "format": "int64"}
Count = Annotated[int, WithJsonSchema({**Int64, "minimum": 0})]
"""A number that is never negative and may be large, such as milliseconds or bytes."""

_ERROR_DESCRIPTIONS: Mapping[int | str, str] = {
    400: "The request is not valid; the message names the field.",
    401: "The access token is missing, has expired, or is not valid.",
    403: "The access token is valid and lacks the permission for this operation.",
    404: "Nothing is stored under this path.",
    409: "The idempotency key was used before, and no response can be repeated: the first request "
    "was different, is still in progress, or has an unknown outcome.",
    412: "The stored settings do not meet the precondition; nothing was changed.",
    413: "The body is longer than 64 KiB.",
    415: "The media type of the body is not JSON, or the body is compressed.",
    429: "The caller sends too many requests; wait for the seconds in `Retry-After`.",
    503: "The database or the issuer of the access token is unavailable; wait for the seconds in `Retry-After`.",
    "default": "Any other error, in the same shape.",
}
_COMMON_STATUSES: tuple[int | str, ...] = (400, 401, 403, 429, 503, "default")
_HEADERS: Mapping[str, Json] = {
    "ETag": {
        "description": "Entity tag of the current settings, for `If-Match` or `If-None-Match` (RFC 9110).",
        "required": True,
        "schema": {"type": "string"},
        "example": '"1.3.64f1d2c3b4a59"',
    },
    "Location": {
        "description": "Absolute address of the created settings.",
        "required": True,
        "schema": {"type": "string", "format": "uri"},
        "example": "https://mail-settings.example.com/settings/1",
    },
    "Link": {
        "description": "Address of the next page (RFC 8288).",
        "required": True,
        "schema": {"type": "string"},
        "example": '<https://mail-settings.example.com/items?cursor=YWZ0ZXI6MTA>; rel="next"',
    },
    "Retry-After": {
        "description": "Seconds to wait before the next attempt.",
        "required": True,
        "schema": {**Int32, "minimum": 0},
        "example": 5,
    },
    "WWW-Authenticate": {
        "description": "`Bearer`, with an error code if the request had a token (RFC 6750).",
        "required": True,
        "schema": {"type": "string"},
        "example": 'Bearer error="invalid_token"',
    },
    "Accept-Encoding": {
        "description": "Present if the body was compressed: no content coding is accepted (RFC 9110 12.5.3).",
        "schema": {"type": "string", "enum": ["identity"]},
    },
    "Preference-Applied": {
        "description": "The preference that was applied to this response (RFC 7240); absent without one.",
        "schema": {"type": "string", "enum": ["return=representation"]},
    },
    "Idempotent-Replayed": {
        "description": "Present if this is the response to an earlier request with the same idempotency key.",
        "schema": {"type": "string", "enum": ["true"]},
    },
    "X-Accel-Buffering": {
        "description": "Tells a proxy to pass the events on at once.",
        "required": True,
        "schema": {"type": "string", "enum": ["no"]},
    },
    "X-Request-ID": {
        "description": "Id of this request in the log: the caller's id, or a new id.",
        "required": True,
        "schema": {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$"},
        "example": "4f0c1d7c2f5b4b0e9d0a3c6f1b2e8d90",
    },
}


def single_value(value: str) -> WithJsonSchema:
    """Return the schema of a union's discriminator: one value, so that exactly one variant of `oneOf` matches."""
    return WithJsonSchema({"type": "string", "enum": [value], "default": value})


def error_responses(model: type[BaseModel], *statuses: int | str, **words: str) -> Responses:
    """Return error responses with these statuses in the shape of *model*; `on_404="…"` replaces a text."""
    found = {status: words.get(f"on_{status}", _ERROR_DESCRIPTIONS[status]) for status in statuses}
    return {status: {"model": model, "description": description} for status, description in found.items()}


def common_error_responses(model: type[BaseModel]) -> Responses:
    """Return the error responses that every operation behind an access token has."""
    return error_responses(model, *_COMMON_STATUSES)


def header_references(*names: str) -> Json:
    """Return references to the response headers *names*."""
    return {"headers": {name: {"$ref": f"#/components/headers/{name}"} for name in names}}


def header_components(request_id_header: str | None) -> Json:
    """Return the components of `headers`; *request_id_header* is the vendor's name of X-Request-ID."""
    own: Json = {request_id_header: _HEADERS["X-Request-ID"]} if request_id_header else {}
    return {**_HEADERS, **own}


def headers_by_status(status: str, parameters: set[str], *, behind_token: bool) -> Json:
    """Return the response headers of *status* in any operation with these *parameters*."""
    found: Json = {}
    if status in {"401", "403"}:
        found |= header_references("WWW-Authenticate")["headers"]
    if status in {"429", "503"}:
        found |= header_references("Retry-After")["headers"]
    if status == "415":
        found |= header_references("Accept-Encoding")["headers"]
    if status == "400" and behind_token:
        found |= optional_header("WWW-Authenticate", "Present if the request had several tokens.")
    if "Idempotency-Key" in parameters and status.startswith("2"):
        found |= header_references("Idempotent-Replayed")["headers"]
    return found


def optional_header(name: str, description: str) -> Json:
    """Return the header *name* of a response that has it only in the cases of *description*."""
    return {name: {**_HEADERS[name], "description": description, "required": False}}
