"""Requests that offer another protocol, such as `Upgrade: h2c`: the offer is ignored (RFC 9110 7.8).

The parser stops after the header section of such a request, and would take a body that follows for the next
request. So another parser goes on with the body: it is told how the body is framed, and nothing of the offer.
Where the header section ends is still found by the parser alone, however the bytes arrive.
"""

from collections.abc import Callable, Iterable
from typing import Any

from httptools import HttpRequestParser

Headers = Iterable[tuple[bytes, bytes]]
_FRAMING_HEADERS = {b"content-length", b"transfer-encoding"}


def announces_body(headers: Headers) -> bool:
    """Return whether a body follows (RFC 9112 6.3); the parser has checked the values."""
    return any(
        name == b"transfer-encoding" or (name == b"content-length" and int(value)) for name, value in headers
    )


def new_parser(receiver: object) -> HttpRequestParser:
    """Return a parser that reads on after a request with `Connection: close`, as uvicorn's does."""
    parser = HttpRequestParser(receiver)
    parser.set_dangerous_leniencies(lenient_data_after_close=True)
    return parser


def body_parser(receiver: object, headers: Headers) -> HttpRequestParser:
    """Return a parser that expects the body of a request with these *headers*.

    Raises `HttpParserError` when they do not say where the body ends.
    """
    callbacks = _Callbacks(receiver)
    parser = new_parser(callbacks)
    framing = b"".join(b"%b: %b\r\n" % header for header in headers if header[0] in _FRAMING_HEADERS)
    parser.feed_data(b"POST / HTTP/1.1\r\n%b\r\n" % framing)
    callbacks.are_passed_on = True
    return parser


class _Callbacks:
    """The callbacks of *receiver*, which are not called until `are_passed_on`."""

    def __init__(self, receiver: object) -> None:
        self._receiver = receiver
        self.are_passed_on = False

    def __getattr__(self, name: str) -> Callable[..., None]:
        callback = getattr(self._receiver, name)

        def call(*arguments: Any) -> None:
            if self.are_passed_on:
                callback(*arguments)

        return call
