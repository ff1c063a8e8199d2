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
    # These libraries log every step, and the last three whole addresses and what is written to the database. The
    # program logs itself what matters of that.
    for name in ("alembic", "msal", "aiosqlite", "httpcore", "httpx"):
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
    """Logs a warning at once, then at most one in `PAUSE_SECONDS`, which counts the suppressed ones."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._last = float("-inf")
        self._skipped_until = 0

    def warning(self, message: str, *arguments: object) -> None:
        """Log *message*, or count it as suppressed."""
        now = time.monotonic()
        if now - self._last < WARNING_INTERVAL_SECONDS:
            self._skipped_until += 1
            return
        more = (
            f" Suppressed {self._skipped_until} more such warnings since the last one."
            if self._skipped_until
            else ""
        )
        self._log.warning(message + more, *arguments)
        self._last, self._skipped_until = now, 0
