"""Run another program of this service as a supervised child: restarted when it ends, and ended with this process.

The child has a session of its own, so that Ctrl-C in a terminal reaches it once, through this process. It watches
a pipe that only this process holds open, and so ends even if this process is killed.
"""

import logging
import os
import subprocess
import threading
import time
from collections.abc import Callable, Sequence

MIN_PAUSE_SECONDS = 1.0
MAX_PAUSE_SECONDS = 60.0
"""The pause before a restart doubles from the first to the second while the child ends soon after its start."""
STABLE_SECONDS = 60.0
"""After so much time, a child counts as having worked."""

_log = logging.getLogger("mailsettings.workers")


class SupervisedChild:
    """A child that *command* makes of the descriptor of the pipe; *name* is for the log.

    *gives_up* decides by the exit status whether the child is not started again.
    """

    def __init__(
        self,
        name: str,
        command: Callable[[int], Sequence[str]],
        gives_up: Callable[[int], bool] = lambda _: False,
        pause_seconds: float = MIN_PAUSE_SECONDS,
    ) -> None:
        self._name = name
        self._command = command
        self._gives_up = gives_up
        self._pause_seconds = pause_seconds
        self._stopping = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._keep_running, name=name, daemon=True)
        self._read_end, self._write_end = os.pipe()

    def start(self) -> None:
        """Start the child, on a thread that restarts it."""
        self._thread.start()

    def begin_stop(self) -> None:
        """Tell the child to end; return at once. May be called from a signal handler, and more than once."""
        self._stopping.set()
        process = self._process
        if process is not None and process.poll() is None:
            process.terminate()

    def stop(self, max_seconds: float) -> None:
        """End the child, and kill it if it runs for more than *max_seconds* still."""
        self.begin_stop()
        self._thread.join(max_seconds)
        process = self._process
        if process is not None and process.poll() is None:
            _log.warning("Killed the %s: it had not ended in time.", self._name)
            process.kill()
            self._thread.join()
        os.close(self._write_end)
        os.close(self._read_end)

    def _keep_running(self) -> None:
        pause = self._pause_seconds
        while not self._stopping.is_set():
            started = time.monotonic()
            status = self._run_once()
            if self._stopping.is_set():
                return
            if self._gives_up(status):
                _log.warning("The %s ended with status %d; this service continues without it.", self._name, status)
                return
            pause = self._pause_seconds if time.monotonic() - started > STABLE_SECONDS else pause
            _log.warning("The %s ended with status %d; the next start is in %.0f s.", self._name, status, pause)
            self._stopping.wait(pause)
            pause = min(pause * 2, MAX_PAUSE_SECONDS)

    def _run_once(self) -> int:
        self._process = process = subprocess.Popen(  # noqa: S603  # our own program
            self._command(self._read_end), pass_fds=(self._read_end,), start_new_session=True
        )
        if self._stopping.is_set():  # `begin_stop` was called meanwhile
            process.terminate()
        return process.wait()
