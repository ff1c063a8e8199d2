"""Receive requests: the bytes that a connection keeps of them, and offers of another protocol.

An offer such as `Upgrade: h2c` is ignored (RFC 9110 7.8). The parser stops after the header section of such a
request and would take a body that follows for the next request. So another parser reads the body: it knows how
the body is framed, and nothing of the offer.
"""

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from httptools import HttpRequestParser


class PendingBytes:
    """Bytes of requests, as far as the parser has reported them."""

    def __init__(self) -> None:
        self.head = 0
        self._body = 0
        self._is_answered = False  # true if the response came before the whole body
        self._complete: deque[int] = deque()

    @property
    def total(self) -> int:
        """Bytes of all requests together."""
        return sum(self._complete) + self.head + self._body

    def begin(self) -> None:
        """Start to count another request."""
        self.head = self._body = 0
        self._is_answered = False

    def add_to_body(self, size: int) -> None:
        """Count a part of the body; after an early response the parts are dropped and not counted."""
        if not self._is_answered:
            self._body += size

    def complete(self) -> None:
        """Keep the bytes of a complete request until its response is complete."""
        if not self._is_answered:
            self._complete.append(self.head + self._body)
        self.head = self._body = 0

    def answer(self) -> None:
        """Forget the oldest request: its response is complete."""
        if self._complete:
            self._complete.popleft()
        else:
            self._is_answered = True
            self.head = self._body = 0


Headers = Iterable[tuple[bytes, bytes]]
_FRAMING_HEADERS = {b"content-length", b"transfer-encoding"}


def announces_body(headers: Headers) -> bool:
    """Return whether a body follows (RFC 9112 6.3); the parser has checked the values."""
    return any(
        name == b"transfer-encoding" or (name == b"content-length" and int(value)) for name, value in headers
    )


def new_parser(receiver: object) -> HttpRequestParser:
    """Return a parser that continues after a request with `Connection: close`, as uvicorn's does."""
    parser = HttpRequestParser(receiver)
    parser.set_dangerous_leniencies(lenient_data_after_close=True)
    return parser


def body_parser(receiver: object, headers: Headers) -> HttpRequestParser:
    """Return a parser that expects the body of a request with these *headers*.

    Raises `HttpParserError` if they do not define where the body ends.
    """
    callbacks = _Callbacks(receiver)
    parser = new_parser(callbacks)
    framing = b"".join(b"%b: %b\r\n" % header for header in headers if header[0] in _FRAMING_HEADERS)
    parser.feed_data(b"POST / HTTP/1.1\r\n%b\r\n" % framing)
    callbacks.are_passed_on = True
    return parser


class _Callbacks:
    """The callbacks of *receiver*, which are called only once `are_passed_on` is set."""

    def __init__(self, receiver: object) -> None:
        self._receiver = receiver
        self.are_passed_on = False

    def __getattr__(self, name: str) -> Callable[..., None]:
        callback = getattr(self._receiver, name)

        def call(*arguments: Any) -> None:
            if self.are_passed_on:
                callback(*arguments)

        return call
