"""One JSON document over HTTP, from an issuer that may be slow, away or somebody else by now.

The standard library's client knows no proxies, redirects, cookies or compression, all of which would have to be
switched off elsewhere. It blocks; see `jwks.py` for where.
"""

import http.client
import json
import socket
import ssl
import threading
import time
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

FETCH_TIMEOUT_SECONDS = 3
MAX_DOCUMENT_BYTES = 256 * 1024
_HEADERS = {"Accept": "application/json"}


class FetchFailed(Exception):
    """There is no document; `str()` is one sentence that repeats nothing of the answer."""


def get_json(url: str, tls: ssl.SSLContext, deadline: float) -> dict[str, Any]:
    """The JSON object at *url*, by *deadline* of the monotonic clock. Raises `FetchFailed`."""
    try:
        value = json.loads(_get(url, tls, deadline))
    except (OSError, http.client.HTTPException) as error:
        # OpenSSL's and the system's words for it are of the connection, not of the answer.
        reason = error if isinstance(error, OSError) else "The answer is not HTTP"
        raise FetchFailed(f"The issuer cannot be reached: {reason}.") from None
    except (ValueError, RecursionError):
        raise FetchFailed("The issuer's answer is not JSON.") from None
    if not isinstance(value, dict):
        raise FetchFailed("The issuer's answer is not a JSON object.")
    return value


def _get(url: str, tls: ssl.SSLContext, deadline: float) -> bytes:
    parts = urlsplit(url)
    connection = _connection(parts.scheme, parts.hostname or "", parts.port, tls)
    try:
        connection.connect()
        return _read_answer(connection, f"{parts.path or '/'}?{parts.query}".rstrip("?"), deadline)
    finally:
        connection.close()


def _connection(scheme: str, host: str, port: int | None, tls: ssl.SSLContext) -> http.client.HTTPConnection:
    if scheme == "https":
        return http.client.HTTPSConnection(host, port, timeout=FETCH_TIMEOUT_SECONDS, context=tls)
    return http.client.HTTPConnection(host, port, timeout=FETCH_TIMEOUT_SECONDS)


def _read_answer(connection: http.client.HTTPConnection, path: str, deadline: float) -> bytes:
    """The body of a 200. The client's own limit is for each packet, and a byte a second is a packet each."""
    hang_up = threading.Timer(deadline - time.monotonic(), _shut_down, [connection.sock])
    hang_up.daemon = True
    hang_up.start()
    try:
        connection.request("GET", path, headers=_HEADERS)
        with connection.getresponse() as response:
            if response.status != http.HTTPStatus.OK:
                raise FetchFailed(f"The issuer answers with the status {response.status}.")
            body = response.read(MAX_DOCUMENT_BYTES + 1)
    finally:
        hang_up.cancel()
    if time.monotonic() >= deadline:
        raise TimeoutError("timed out")
    if len(body) > MAX_DOCUMENT_BYTES:
        raise FetchFailed(f"The issuer's answer is longer than {MAX_DOCUMENT_BYTES} bytes.")
    return body


def _shut_down(connected: socket.socket) -> None:
    """End the reading on another thread. Not `SSLSocket.shutdown`, which would let it read on without TLS."""
    with suppress(OSError):
        socket.socket.shutdown(connected, socket.SHUT_RDWR)
