"""What the OpenAPI documents of all APIs say alike: refusals, response headers, and bounds of numbers."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, WithJsonSchema

Responses = dict[int | str, dict[str, Any]]
"""As FastAPI takes them: by status."""
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
    409: "The idempotency key was used before and there is no answer to repeat: the first request was another "
    "one, is still being answered, or has an unknown outcome.",
    412: "The stored settings are not in the state that the precondition names; nothing was changed.",
    413: "The body is longer than 64 KiB.",
    415: "The body is declared to be something other than JSON, or to be compressed.",
    429: "The caller sends too many requests; wait as long as `Retry-After` says.",
    503: "The database or the issuer of the access token does not answer; try again when `Retry-After` says.",
    "default": "Any other error, in the same shape.",
}
_COMMON_STATUSES: tuple[int | str, ...] = (400, 401, 403, 429, 503, "default")
_HEADERS: Mapping[str, Json] = {
    "ETag": {
        "description": "Entity tag of the settings as they are now; send it back in `If-Match` or `If-None-Match` "
        "(RFC 9110).",
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
    "Retry-After": {
        "description": "Seconds to wait before the next attempt.",
        "required": True,
        "schema": {**Int32, "minimum": 0},
        "example": 5,
    },
    "WWW-Authenticate": {
        "description": "`Bearer`, with an error code where a token was sent (RFC 6750).",
        "required": True,
        "schema": {"type": "string"},
        "example": 'Bearer error="invalid_token"',
    },
    "Accept-Encoding": {
        "description": "Present where the body was compressed: no content coding is accepted (RFC 9110 12.5.3).",
        "schema": {"type": "string", "enum": ["identity"]},
    },
    "Preference-Applied": {
        "description": "The preference that shaped this answer (RFC 7240); absent where none was sent.",
        "schema": {"type": "string", "enum": ["return=representation"]},
    },
    "Idempotent-Replayed": {
        "description": "Present where this is the answer to an earlier request with the same idempotency key.",
        "schema": {"type": "string", "enum": ["true"]},
    },
    "X-Request-ID": {
        "description": "Id of this request in the log: the caller's own if it sent one, else a new one.",
        "required": True,
        "schema": {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$"},
        "example": "4f0c1d7c2f5b4b0e9d0a3c6f1b2e8d90",
    },
}


def single_value(value: str) -> WithJsonSchema:
    """Return the schema of a union's discriminator: one value, so that exactly one variant of `oneOf` matches."""
    return WithJsonSchema({"type": "string", "enum": [value], "default": value})


def error_responses(model: type[BaseModel], *statuses: int | str, **words: str) -> Responses:
    """Return the refusals with these statuses in the shape of *model*; `on_404="…"` gives one other words."""
    found = {status: words.get(f"on_{status}", _ERROR_DESCRIPTIONS[status]) for status in statuses}
    return {status: {"model": model, "description": description} for status, description in found.items()}


def common_error_responses(model: type[BaseModel]) -> Responses:
    """Return the refusals that every operation behind an access token has."""
    return error_responses(model, *_COMMON_STATUSES)


def header_references(*names: str) -> Json:
    """Return references to the response headers *names*."""
    return {"headers": {name: {"$ref": f"#/components/headers/{name}"} for name in names}}


def header_components(request_id_header: str | None) -> Json:
    """Return what `headers` refers to; *request_id_header* is the vendor's name of X-Request-ID."""
    own: Json = {request_id_header: _HEADERS["X-Request-ID"]} if request_id_header else {}
    return {**_HEADERS, **own}


def headers_by_status(status: str, parameters: set[str], *, behind_token: bool) -> Json:
    """Return the headers that any operation with these *parameters* answers a *status* with."""
    found: Json = {}
    if status in {"401", "403"}:
        found |= header_references("WWW-Authenticate")["headers"]
    if status in {"429", "503"}:
        found |= header_references("Retry-After")["headers"]
    if status == "415":
        found |= header_references("Accept-Encoding")["headers"]
    if status == "400" and behind_token:
        found |= optional_header("WWW-Authenticate", "Present where several tokens were sent.")
    if "Idempotency-Key" in parameters and status.startswith("2"):
        found |= header_references("Idempotent-Replayed")["headers"]
    return found


def optional_header(name: str, description: str) -> Json:
    """Return the header *name* for a response that has it only where *description* says."""
    return {name: {**_HEADERS[name], "description": description, "required": False}}
