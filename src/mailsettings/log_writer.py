"""Write the lines of the log on a thread, so that no request waits for the reader of the log.

A request only appends its line to a queue, which costs less than a microsecond; the write itself would cost a
system call for each line, and would stop the whole process while the reader of a pipe stops.
"""

import logging
import os
import select
import threading
import time
from queue import SimpleQueue

MAX_WAITING_LINES = 8192
"""Lines that wait while the log is not read; a line of a request has some hundred bytes."""
RESERVE = 8
"""Other lines than those of requests wait up to so many times that number.

They are few, and some matter later: `audit verify --seen` needs the lines of the audit log.
"""
BATCH_SECONDS = 0.02
"""The time in which lines are collected for one write."""
FLUSH_TIMEOUT_SECONDS = 2.0
"""The longest time that the end of a process waits for the reader of its log."""

_log = logging.getLogger("mailsettings.log")


class BackgroundWriter:
    """Writes lines to the file *descriptor*, in order.

    If more than *max_waiting* lines wait, further lines of requests are dropped, and with `RESERVE` times as many
    all lines; the log says how many, once it is read again.
    """

    def __init__(self, descriptor: int, max_waiting: int = MAX_WAITING_LINES) -> None:
        self._descriptor = descriptor
        self._max_waiting = max_waiting
        self._dropped = 0
        self._start()
        os.register_at_fork(after_in_child=self._start)  # a forked process has no thread of its parent

    def write(self, line: str) -> None:
        """Write *line*, which ends with a newline, soon; any thread and any signal handler may call this."""
        self._add(line, RESERVE * self._max_waiting)

    def write_request(self, line: str) -> None:
        """Write *line* about a request like `write`, or drop it earlier."""
        self._add(line, self._max_waiting)

    def _add(self, line: str, max_waiting: int) -> None:
        if self._waiting.qsize() < max_waiting:
            self._waiting.put(line)
        else:
            self._dropped += 1

    def flush(self) -> None:
        """Wait until all lines so far are written, but not longer than `FLUSH_TIMEOUT_SECONDS`."""
        written = threading.Event()
        self._waiting.put(written)
        written.wait(FLUSH_TIMEOUT_SECONDS)

    def _start(self) -> None:
        # The `put` of a SimpleQueue may interrupt itself, as in a signal handler.
        self._waiting: SimpleQueue[str | threading.Event] = SimpleQueue()
        threading.Thread(target=self._write_batches, args=(self._waiting,), name="log", daemon=True).start()

    def _write_batches(self, waiting: "SimpleQueue[str | threading.Event]") -> None:
        while True:
            batch = [waiting.get()]
            time.sleep(BATCH_SECONDS)
            batch += [waiting.get() for _ in range(waiting.qsize())]
            _write_all(self._descriptor, "".join(line for line in batch if isinstance(line, str)))
            dropped, self._dropped = self._dropped, 0
            if dropped:
                _log.warning("Dropped %d lines of the log, because it was not read fast enough.", dropped)
            for flushed in batch:
                if isinstance(flushed, threading.Event):
                    flushed.set()


def _write_all(descriptor: int, lines: str) -> None:
    """Write whole lines; lines that nothing can receive any more are lost."""
    # The encoding of standard error, which represents what it cannot encode.
    text = lines.encode("utf-8", "backslashreplace")
    try:
        while text:
            text = text[_write(descriptor, text[: _whole_lines(text)]) :]
    except OSError:  # such as a closed pipe
        return


def _whole_lines(text: bytes) -> int:
    """Return the length of the first lines that fit into one atomic write, so that processes do not mix lines."""
    end = text.rfind(b"\n", 0, select.PIPE_BUF) + 1
    return end or text.find(b"\n") + 1 or len(text)


def _write(descriptor: int, text: bytes) -> int:
    try:
        return os.write(descriptor, text)
    except BlockingIOError:  # another program has made the shared file non-blocking
        select.select([], [descriptor], [])
        return 0
