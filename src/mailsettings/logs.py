"""Configure the log of this program: standard error, as lines of JSON or as text for people.

Each line that is written while a request is processed carries the id of that request.
"""

import json
import logging
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from functools import lru_cache
from typing import Literal, TextIO

from pythonjsonlogger.core import RESERVED_ATTRS
from pythonjsonlogger.json import JsonFormatter

from mailsettings.log_writer import BackgroundWriter

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
"""The id of the request that is being processed."""

_FIELDS = "%(asctime)s %(levelname)s %(name)s %(message)s"
_Style = Literal["json", "text"]
_log = logging.getLogger("mailsettings.log")


def configure(style: _Style, level: str, *, in_background: bool = False) -> None:
    """Send all loggers, uvicorn's too, through one handler, which writes on a thread if *in_background*."""
    root = logging.getLogger()
    root.handlers = [_background_handler(style) if in_background else handler(style, sys.stderr)]
    root.setLevel(level.upper())
    # These libraries log every step, and the last two also addresses and the content of database rows. The
    # program itself logs the events that matter.
    for name in ("alembic", "msal", "aiosqlite", "httpcore"):
        logging.getLogger(name).setLevel(max(root.level, logging.WARNING))
    _log_what_python_prints()


def _log_what_python_prints() -> None:
    """Log Python's warnings and uncaught exceptions: a line that is not of the log breaks a log of JSON lines."""
    logging.captureWarnings(capture=True)
    sys.excepthook = lambda kind, value, trace: _log_uncaught(value)  # noqa: ARG005  # of Python
    threading.excepthook = lambda hook: _log_uncaught(hook.exc_value)
    sys.unraisablehook = lambda hook: _log_uncaught(hook.exc_value)


def _log_uncaught(error: BaseException | None) -> None:
    _log.error("Uncaught exception.", exc_info=error)


def handler(style: _Style, stream: TextIO) -> logging.Handler:
    """Return a handler that writes a line to *stream* for each record."""

    def write(line: str) -> None:
        stream.write(line)
        stream.flush()

    return LineHandler(style, write, stream.flush)


def _background_handler(style: _Style) -> logging.Handler:
    writer = BackgroundWriter(sys.stderr.fileno())
    return LineHandler(style, writer.write, writer.flush, writer.write_request)


class LineHandler(logging.Handler):
    """Passes a line for each record to *write*. At the end of the process `logging` calls *flush*.

    *write_request* gets the lines of `write_line`; by default *write* gets them too.
    """

    def __init__(
        self,
        style: _Style,
        write: Callable[[str], None],
        flush: Callable[[], None],
        write_request: Callable[[str], None] | None = None,
    ) -> None:
        super().__init__()
        self.addFilter(_add_request_id)
        self.setFormatter(_json() if style == "json" else _TextFormatter(f"{_FIELDS} [%(request_id)s]"))
        self._style = style
        self._write = write
        self._write_request = write_request or write
        self._flush = flush

    def emit(self, record: logging.LogRecord) -> None:
        """Write the line of *record*, or of the mistake in it."""
        try:
            self._write(f"{self._line(record)}\n")
        except Exception:  # as the handlers of `logging` do  # noqa: BLE001
            self.handleError(record)

    def _line(self, record: logging.LogRecord) -> str:
        try:
            return self.format(record)
        except Exception as error:  # such as a missing argument  # noqa: BLE001
            place = f"{record.pathname}:{record.lineno}"
            level, message = logging.ERROR, "Cannot write the line of the log from %s: %s"
            mistake = logging.LogRecord(record.name, level, "", 0, message, (place, type(error).__name__), None)
            _add_request_id(mistake)
            return self.format(mistake)

    def flush(self) -> None:
        """Wait for the lines so far."""
        self._flush()

    def write_line(self, level: str, logger: str, message: str, members: Mapping[str, object]) -> None:
        """Write the line that a record with these values has. *members* end with the request id, if any."""
        members = members if "request_id" in members else {**members, "request_id": request_id.get() or "-"}
        at = _rfc3339(time.time())
        if self._style == "json":
            head = f'{{"time": "{at}", "level": "{level}", "logger": "{logger}", "message": {_encode(message)}, '
            self._write_request(f"{head}{_encode(members)[1:]}\n")
        else:
            self._write_request(f"{at} {level} {logger} {_visible(message)} [{members['request_id']}]\n")


_encode = json.JSONEncoder().encode


@lru_cache(2)
def _second(timestamp: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(timestamp))


def _rfc3339(timestamp: float) -> str:
    """Return the time in UTC: lines of machines in different time zones sort together (RFC 3339)."""
    return f"{_second(int(timestamp))}.{int(timestamp * 1000) % 1000:03d}Z"


# Foreign text, such as the reply of a mail server, must not move the cursor of a terminal.
_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"}


def _visible(text: str) -> str:
    return text.translate(_CONTROLS)


_TIME, _MILLISECONDS = "%Y-%m-%dT%H:%M:%S", "%s.%03dZ"


class _TextFormatter(logging.Formatter):
    converter = staticmethod(time.gmtime)
    default_time_format, default_msec_format = _TIME, _MILLISECONDS

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of *record* without control characters."""
        return _visible(super().format(record))


class _JSONFormatter(JsonFormatter):
    converter = staticmethod(time.gmtime)
    default_time_format, default_msec_format = _TIME, _MILLISECONDS


def request_line(log: logging.Logger, level: int, message: str, members: Mapping[str, object]) -> None:
    """Log *message* with *members*, at a fifth of the cost of `log.log` where nothing but our handler listens."""
    if not log.isEnabledFor(level):
        return
    handlers = logging.getLogger().handlers
    only = handlers[0] if len(handlers) == 1 and not log.handlers else None
    if isinstance(only, LineHandler):
        only.write_line(logging.getLevelName(level), log.name, message, members)
    else:
        log.log(level, "%s", message, extra=members)


def info(log: logging.Logger, message: str, members: Mapping[str, object]) -> None:
    """Log *message* with *members* at the level info, as `request_line` does."""
    request_line(log, logging.INFO, message, members)


def _add_request_id(record: logging.LogRecord) -> bool:
    record.request_id = getattr(record, "request_id", None) or request_id.get() or "-"
    return True


def _json() -> logging.Formatter:
    names = {"asctime": "time", "levelname": "level", "name": "logger"}
    # uvicorn adds its message with escape codes.
    return _JSONFormatter(_FIELDS, rename_fields=names, reserved_attrs=[*RESERVED_ATTRS, "color_message"])


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
