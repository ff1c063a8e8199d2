"""Errors of requests on the level of HTTP, apart from the rules of the domain.

RequestError
├── SeveralCredentials      more than one Authorization header (RFC 6750 3.1)
├── IncompleteBody          the connection ended before the body
├── BodyTooLarge
├── HostNotAllowed          no Host header, several, or a foreign name
├── MalformedBody           not valid or ambiguous JSON
├── MethodNotAllowed
├── PathNotFound
├── ParameterInvalid
│   └── ParameterMissing
├── ConnectionTestFailed    a connection test that ran and failed
├── TooManyRequests         concurrent requests of one principal
├── UnsupportedContentCoding a compressed body
├── UnsupportedContentType
└── UnsupportedVersion      of an API that has versions
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class FieldError:
    """One part of a request that is not accepted.

    `source` is "body", "query", "path" or "header". `path` leads to the member of the body, and is the name of the
    parameter elsewhere. `sentence` is for people, `code` for programs.
    """

    source: str
    path: tuple[str | int, ...]
    sentence: str
    code: str = "invalid"


class RequestError(Exception):
    """Base class; `str()` is one sentence without any part of the request, `headers` belong to the response."""

    headers: Mapping[str, str] = MappingProxyType({})


class SeveralCredentials(RequestError):
    """The request has several credentials."""

    headers = MappingProxyType({"WWW-Authenticate": 'Bearer error="invalid_request"'})

    def __init__(self) -> None:
        super().__init__("Send exactly one Authorization header.")


class IncompleteBody(RequestError):
    """The connection ended before the whole body arrived; no client reads this response."""

    def __init__(self) -> None:
        super().__init__("The body is incomplete.")


class BodyTooLarge(RequestError):
    """The body is longer than the limit."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"The body must not be longer than {limit} bytes.")


class HostNotAllowed(RequestError):
    """The Host header does not name this service."""


class MalformedBody(RequestError):
    """The body is not JSON, or it is JSON that parsers interpret differently."""


class MethodNotAllowed(RequestError):
    """The path exists, the method does not."""

    def __init__(self, allowed: str) -> None:
        super().__init__(f"This path supports only {allowed}.")
        self.headers = {"Allow": allowed}


class PathNotFound(RequestError):
    """The path does not exist."""

    def __init__(self) -> None:
        super().__init__("This path does not exist.")


class ParameterInvalid(RequestError):
    """Named parts of the request have an invalid value; `fields` has each of them, if they are known."""

    def __init__(self, message: str, fields: Sequence[FieldError] = ()) -> None:
        super().__init__(message)
        self.fields = fields


class ParameterMissing(ParameterInvalid):
    """A required part of the request is missing."""


class ConnectionTestFailed(RequestError):
    """The connection test ran and failed."""


class TooManyRequests(RequestError):
    """The principal has as many requests in progress as the limit allows."""

    headers = MappingProxyType({"Retry-After": "1"})

    def __init__(self) -> None:
        super().__init__("You have too many requests in progress. Try again in 1 second.")


class UnsupportedContentCoding(RequestError):
    """The body is compressed (RFC 9110 15.5.16)."""

    headers = MappingProxyType({"Accept-Encoding": "identity"})

    def __init__(self) -> None:
        super().__init__("Send the body uncompressed, without the header Content-Encoding.")


class UnsupportedContentType(RequestError):
    """The media type of the body is not supported."""

    def __init__(self, what: str = "JSON", media_type: str = "application/json") -> None:
        super().__init__(f"Send the body as {what}, with the header Content-Type: {media_type}.")


class UnsupportedVersion(RequestError):
    """The request asks for an unknown version of the API."""

    def __init__(self) -> None:
        super().__init__("This version of the API is not supported; use 1.0.")
