"""Requests that are refused for what they are as HTTP, before or beside any rule of the domain.

RequestError
├── SeveralCredentials      more than one Authorization header (RFC 6750 3.1)
├── IncompleteBody            the connection ended before it did
├── BodyTooLarge
├── HostNotAllowed               no Host header, several, or one that is not ours
├── MalformedBody             not the JSON we take
├── MethodNotAllowed
├── PathNotFound
├── ParameterInvalid
├── ParameterMissing
├── ConnectionTestFailed                a connection test, made as asked
├── TooManyRequests           of one principal at once
├── UnsupportedContentCoding  a compressed body
├── UnsupportedContentType
└── UnsupportedVersion        of an API that has versions
"""

from collections.abc import Mapping
from types import MappingProxyType


class RequestError(Exception):
    """Base; `str()` is one sentence that repeats nothing of the request, `headers` go with the answer."""

    headers: Mapping[str, str] = MappingProxyType({})


class SeveralCredentials(RequestError):
    """It is not said which of several credentials is meant."""

    headers = MappingProxyType({"WWW-Authenticate": 'Bearer error="invalid_request"'})

    def __init__(self) -> None:
        super().__init__("Send exactly one Authorization header.")


class IncompleteBody(RequestError):
    """The client has gone, or was cut off, before all of its body was here; nobody reads this answer."""

    def __init__(self) -> None:
        super().__init__("The body did not arrive.")


class BodyTooLarge(RequestError):
    """The body is longer than we read."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"The body must not be longer than {limit} bytes.")


class HostNotAllowed(RequestError):
    """It is not said, or not clearly, that this request is for us."""


class MalformedBody(RequestError):
    """The body is not JSON, or JSON of which two readers could make different things."""


class MethodNotAllowed(RequestError):
    """The path exists, the method does not."""

    def __init__(self, allowed: str) -> None:
        super().__init__(f"Only {allowed} can be used here.")
        self.headers = {"Allow": allowed}


class PathNotFound(RequestError):
    """Nothing answers on this path."""

    def __init__(self) -> None:
        super().__init__("There is nothing at this path.")


class ParameterInvalid(RequestError):
    """A named part of the request has a value that is not taken."""


class ParameterMissing(RequestError):
    """A named part of the request has to be there and is not."""


class ConnectionTestFailed(RequestError):
    """The connection test was made and did not succeed."""


class TooManyRequests(RequestError):
    """As many requests of the same principal as are let in are being answered already."""

    headers = MappingProxyType({"Retry-After": "1"})

    def __init__(self) -> None:
        super().__init__("Too many requests of yours are being answered. Try again in 1 second.")


class UnsupportedContentCoding(RequestError):
    """The body is compressed (RFC 9110 15.5.16)."""

    headers = MappingProxyType({"Accept-Encoding": "identity"})

    def __init__(self) -> None:
        super().__init__("Send the body uncompressed, without the header Content-Encoding.")


class UnsupportedContentType(RequestError):
    """The body is declared to be something that we do not read."""

    def __init__(self, what: str = "JSON", media_type: str = "application/json") -> None:
        super().__init__(f"Send the body as {what}, with the header Content-Type: {media_type}.")


class UnsupportedVersion(RequestError):
    """The caller asks for a version of the API that there is not."""

    def __init__(self) -> None:
        super().__init__("This version of the API is not supported; use 1.0.")
