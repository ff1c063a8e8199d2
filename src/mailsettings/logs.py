"""Configure the log of this program: standard error, as lines of JSON or as text for people.

Each line that is written while a request is processed carries the id of that request.
"""

import logging
import sys
import time
from contextvars import ContextVar
from typing import Literal, TextIO

from pythonjsonlogger.json import JsonFormatter

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
"""The id of the request that is being processed."""

_FIELDS = "%(asctime)s %(levelname)s %(name)s %(message)s"
_Style = Literal["json", "text"]


def configure(style: _Style, level: str) -> None:
    """Send all loggers, uvicorn's too, through one handler."""
    root = logging.getLogger()
    root.handlers = [handler(style, sys.stderr)]
    root.setLevel(level.upper())
    # These libraries log every step, and the last two also addresses and the content of database rows. The
    # program itself logs the events that matter.
    for name in ("alembic", "msal", "aiosqlite", "httpcore"):
        logging.getLogger(name).setLevel(max(root.level, logging.WARNING))


def handler(style: _Style, stream: TextIO) -> logging.Handler:
    """Return a handler that writes a line to *stream* for each record."""
    made = logging.StreamHandler(stream)
    made.addFilter(_add_request_id)
    made.setFormatter(_json() if style == "json" else logging.Formatter(f"{_FIELDS} [%(request_id)s]"))
    return made


def _add_request_id(record: logging.LogRecord) -> bool:
    record.request_id = getattr(record, "request_id", None) or request_id.get() or "-"
    return True


def _json() -> logging.Formatter:
    names = {"asctime": "time", "levelname": "level", "name": "logger"}
    return JsonFormatter(_FIELDS, rename_fields=names)


WARNING_INTERVAL_SECONDS = 10


class RateLimitedLog:
    """Logs a warning at once, then at most one per `WARNING_INTERVAL_SECONDS`, with a count of the others."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._last = float("-inf")
        self._suppressed = 0

    def warning(self, message: str, *arguments: object) -> None:
        """Log *message*, or count it as suppressed."""
        now = time.monotonic()
        if now - self._last < WARNING_INTERVAL_SECONDS:
            self._suppressed += 1
            return
        more = f" Suppressed {self._suppressed} such warnings since the previous line." if self._suppressed else ""
        self._log.warning(message + more, *arguments)
        self._last, self._suppressed = now, 0
