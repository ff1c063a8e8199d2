"""How this program writes its log: to standard error, as lines of JSON or for people to read."""

import logging
import sys
from typing import Literal

from pythonjsonlogger.json import JsonFormatter

_FIELDS = "%(asctime)s %(levelname)s %(name)s %(message)s"


def configure(style: Literal["json", "text"], level: str) -> None:
    """Send all loggers, uvicorn's too, through one handler."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_json() if style == "json" else logging.Formatter(_FIELDS))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    # These two tell of every step at INFO; what matters of them is said by us.
    for name in ("alembic", "msal"):
        logging.getLogger(name).setLevel(max(root.level, logging.WARNING))


def _json() -> logging.Formatter:
    names = {"asctime": "time", "levelname": "level", "name": "logger"}
    return JsonFormatter(_FIELDS, rename_fields=names)
