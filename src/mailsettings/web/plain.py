"""Answers to what is no request of any API yet: plain text, and the end of the connection."""

import http
from collections.abc import Iterable

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

RETRY_AFTER_SECONDS = 1


def plain_text_response(status: int, headers: Iterable[tuple[bytes, bytes]] = ()) -> bytes:
    """Return the whole answer, with *headers* besides those that it needs."""
    text = http.HTTPStatus(status).phrase.encode()
    own = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(text)).encode()),
        (b"x-content-type-options", b"nosniff"),
        (b"connection", b"close"),
    ]
    if status == http.HTTPStatus.SERVICE_UNAVAILABLE:
        own.append((b"retry-after", str(RETRY_AFTER_SECONDS).encode()))
    lines = b"".join(b"%b: %b\r\n" % header for header in (*headers, *own))
    return STATUS_LINE[status] + lines + b"\r\n" + text
