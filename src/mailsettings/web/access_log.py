"""One line in the log for each request. Never the query, a header or a body: that is where secrets are."""

import logging

from mailsettings.web.exchange import Exchange

MAX_LOGGED_PATH_LENGTH = 500
"""Characters. Strangers are answered too, and their paths may have thousands."""

_log = logging.getLogger("mailsettings.access")


def log_exchange(exchange: Exchange) -> None:
    """For people method, path, status and time; for programs the same and more, each in a member of its own."""
    if not _log.isEnabledFor(logging.INFO):
        return
    method, path = _printable(exchange.method), _printable(exchange.path[:MAX_LOGGED_PATH_LENGTH])
    milliseconds = round(exchange.seconds * 1000, 1)
    members = {
        "method": method,
        "path": path,
        "route": exchange.operation,
        "status": exchange.status,
        "duration_ms": milliseconds,
        "api": exchange.api,
        "principal": exchange.caller,
        "request_id": exchange.request_id,
    }
    _log.info("%s %s %d %.1f ms", method, path, exchange.status, milliseconds, extra=members)


def _printable(text: str) -> str:
    return text if text.isprintable() else ascii(text)
