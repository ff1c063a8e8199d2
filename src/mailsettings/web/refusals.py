"""Requests that are refused for what they are as HTTP, before or beside any rule of the domain.

RequestRefused
├── AmbiguousCredentials      more than one Authorization header (RFC 6750 3.1)
├── BodyIncomplete            the connection ended before it did
├── BodyTooLarge
├── HostRefused               no Host header, several, or one that is not ours
├── MalformedBody             not the JSON we take
├── MethodNotAllowed
├── NoSuchPath
├── ParameterInvalid
├── ParameterMissing
├── TestFailed                a connection test, made as asked
├── TooManyRequests           of one principal at once
├── UnsupportedContentCoding  a compressed body
├── UnsupportedContentType
└── UnsupportedVersion        of an API that has versions
"""

from collections.abc import Mapping
from types import MappingProxyType


class RequestRefused(Exception):
    """Base; `str()` is one sentence that repeats nothing of the request, `headers` go with the answer."""

    headers: Mapping[str, str] = MappingProxyType({})


class AmbiguousCredentials(RequestRefused):
    """It is not said which of several credentials is meant."""

    headers = MappingProxyType({"WWW-Authenticate": 'Bearer error="invalid_request"'})

    def __init__(self) -> None:
        super().__init__("Send exactly one Authorization header.")


class BodyIncomplete(RequestRefused):
    """The client has gone, or was cut off, before all of its body was here; nobody reads this answer."""

    def __init__(self) -> None:
        super().__init__("The body did not arrive.")


class BodyTooLarge(RequestRefused):
    """The body is longer than we read."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"The body must not be longer than {limit} bytes.")


class HostRefused(RequestRefused):
    """It is not said, or not clearly, that this request is for us."""


class MalformedBody(RequestRefused):
    """The body is not JSON, or JSON of which two readers could make different things."""


class MethodNotAllowed(RequestRefused):
    """The path exists, the method does not."""

    def __init__(self, allowed: str) -> None:
        super().__init__(f"Only {allowed} can be used here.")
        self.headers = {"Allow": allowed}


class NoSuchPath(RequestRefused):
    """Nothing answers on this path."""

    def __init__(self) -> None:
        super().__init__("There is nothing at this path.")


class ParameterInvalid(RequestRefused):
    """A named part of the request has a value that is not taken."""


class ParameterMissing(RequestRefused):
    """A named part of the request has to be there and is not."""


class TestFailed(RequestRefused):
    """The connection test was made and did not succeed."""


class TooManyRequests(RequestRefused):
    """As many requests of the same principal as are let in are being answered already."""

    headers = MappingProxyType({"Retry-After": "1"})

    def __init__(self) -> None:
        super().__init__("Too many requests of yours are being answered. Try again in 1 second.")


class UnsupportedContentCoding(RequestRefused):
    """The body is compressed (RFC 9110 15.5.16)."""

    headers = MappingProxyType({"Accept-Encoding": "identity"})

    def __init__(self) -> None:
        super().__init__("Send the body uncompressed, without the header Content-Encoding.")


class UnsupportedContentType(RequestRefused):
    """The body is declared to be something that we do not read."""

    def __init__(self, what: str = "JSON", media_type: str = "application/json") -> None:
        super().__init__(f"Send the body as {what}, with the header Content-Type: {media_type}.")


class UnsupportedVersion(RequestRefused):
    """The caller asks for a version of the API that there is not."""

    def __init__(self) -> None:
        super().__init__("This version of the API is not supported; use 1.0.")
