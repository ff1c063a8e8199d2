"""How this program writes its log: to standard error, as lines of JSON or for people to read.

Whatever writes a line while a request is answered, it carries the id of that request.
"""

import logging
import sys
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
