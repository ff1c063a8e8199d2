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
"""The id of the request that is being answered."""

_FIELDS = "%(asctime)s %(levelname)s %(name)s %(message)s"
_Style = Literal["json", "text"]


def configure(style: _Style, level: str) -> None:
    """Send all loggers, uvicorn's too, through one handler."""
    root = logging.getLogger()
    root.handlers = [handler(style, sys.stderr)]
    root.setLevel(level.upper())
    # These tell of every step, and the last three of whole addresses and of what is written to the database; what
    # matters of them is said by us.
    for name in ("alembic", "msal", "aiosqlite", "httpcore", "httpx"):
        logging.getLogger(name).setLevel(max(root.level, logging.WARNING))


def handler(style: _Style, stream: TextIO) -> logging.Handler:
    """What writes a line to *stream* for each record."""
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
    """Logs a warning at once, and then at most one in ten seconds, which says how many were left out."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._last = float("-inf")
        self._skipped_until = 0

    def warning(self, message: str, *arguments: object) -> None:
        """Log *message*, or count it."""
        now = time.monotonic()
        if now - self._last < WARNING_INTERVAL_SECONDS:
            self._skipped_until += 1
            return
        more = (
            f" This happened {self._skipped_until} more times since the last such line."
            if self._skipped_until
            else ""
        )
        self._log.warning(message + more, *arguments)
        self._last, self._skipped_until = now, 0
