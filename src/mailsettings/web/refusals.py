"""Requests that are refused for what they are as HTTP, before or beside any rule of the domain.

RequestRefused
├── AmbiguousCredentials      more than one Authorization header (RFC 6750 3.1)
├── BodyTooLarge
├── MalformedBody             not the JSON we take
├── MethodNotAllowed
├── NoSuchPath
├── ParameterInvalid
├── ParameterMissing
├── TestFailed                a connection test, made as asked
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


class BodyTooLarge(RequestRefused):
    """The body is longer than we read."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"The body must not be longer than {limit} bytes.")


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


class UnsupportedContentType(RequestRefused):
    """The body is declared to be something that we do not read."""

    def __init__(self) -> None:
        super().__init__("Send the body as JSON, with the header Content-Type: application/json.")


class UnsupportedVersion(RequestRefused):
    """The caller asks for a version of the API that there is not."""

    def __init__(self) -> None:
        super().__init__("This version of the API is not supported; use 1.0.")
