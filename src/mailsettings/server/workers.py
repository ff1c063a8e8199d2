"""Run several worker processes that serve one address, and their parent, which serves nothing itself.

uvicorn's own supervisor gives up when a replacement worker cannot start, such as while the database is away; it
waits for its workers without a limit; and its workers survive it when it is killed.
"""

import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait
from multiprocessing.context import SpawnProcess
from types import FrameType

from uvicorn.config import STARTUP_FAILURE
from uvicorn.server import HANDLED_SIGNALS

from mailsettings.server.server import Server

RESTART_INTERVAL_SECONDS = 1
"""Between the end of a worker and its replacement, so that a worker that cannot start costs little."""
UNCAUGHT = 1
"""The exit status of Python after an uncaught exception."""

_log = logging.getLogger("mailsettings.workers")


class Workers:
    """*count* processes, each of which calls *prepare*, makes a server and serves the sockets *listening*.

    *on_stop* is called at the first signal.
    """

    def __init__(  # noqa: PLR0913, PLR0917  # each is one line in the composition root
        self,
        count: int,
        prepare: Callable[[], None],
        make_server: Callable[[], Server],
        listening: Sequence[socket.socket],
        max_shutdown_seconds: float,
        on_stop: Callable[[], None] = lambda: None,
    ) -> None:
        self._count = count
        self._work = partial(_work, prepare, make_server)
        self._listening = listening
        self._max_shutdown_seconds = max_shutdown_seconds
        self._on_stop = on_stop
        self._workers: list[SpawnProcess] = []
        self._signals: list[int] = []  # signals
        self._signal_reader, self._signal_writer = socket.socketpair()
        self._lost_at: float | None = None

    def run(self) -> int:
        """Keep the workers running until a signal; return the exit status."""
        self._listen_to_signals()
        while not self._signals:
            if not self._replace_lost():
                self._end()
                return STARTUP_FAILURE
            self._wait(self._workers, RESTART_INTERVAL_SECONDS if len(self._workers) < self._count else None)
        self._end()
        return 128 + self._signals[1] if len(self._signals) > 1 else 0

    def _replace_lost(self) -> bool:
        """Replace workers that ended; return False if no worker has ever been able to start."""
        for lost in [worker for worker in self._workers if not worker.is_alive()]:
            self._workers.remove(lost)
            _log.warning("Worker %s ended with status %s.", lost.pid, lost.exitcode)
            if lost.exitcode == STARTUP_FAILURE and self._lost_at is None:
                return False
            self._lost_at = time.monotonic()
        if self._lost_at is None or time.monotonic() - self._lost_at >= RESTART_INTERVAL_SECONDS:
            while len(self._workers) < self._count:
                self._workers.append(self._start())
        return True

    def _start(self) -> SpawnProcess:
        worker = get_context("spawn").Process(target=self._work, args=(self._listening,))
        worker.start()
        return worker

    def _end(self) -> None:
        """Let the workers finish; kill them at a second signal or after the time limit."""
        for sock in self._listening:
            sock.close()
        self._on_stop()
        for worker in self._workers:
            worker.terminate()
        end = time.monotonic() + self._max_shutdown_seconds
        while (running := self._running()) and len(self._signals) <= 1 and time.monotonic() < end:
            self._wait(running, end - time.monotonic())
        for worker in self._running():
            worker.kill()
            worker.join()

    def _running(self) -> list[SpawnProcess]:
        return [worker for worker in self._workers if worker.is_alive()]

    def _wait(self, workers: Sequence[SpawnProcess], seconds: float | None) -> None:
        """Wait until one of *workers* has ended, a signal arrives, or *seconds* have passed."""
        if self._signal_reader in wait([self._signal_reader, *(worker.sentinel for worker in workers)], seconds):
            self._signal_reader.recv(1)

    def _listen_to_signals(self) -> None:
        def hear(number: int, _frame: FrameType | None) -> None:
            self._signals.append(number)

        self._signal_writer.settimeout(0)  # set_wakeup_fd requires a non-blocking descriptor
        signal.set_wakeup_fd(self._signal_writer.fileno())
        for number in HANDLED_SIGNALS:
            signal.signal(number, hear)


def _work(
    prepare: Callable[[], None], make_server: Callable[[], Server], listening: Sequence[socket.socket]
) -> None:
    prepare()
    threading.Thread(target=_end_with_parent, name="parent", daemon=True).start()
    try:
        make_server().run(list(listening))
    except Exception:  # multiprocessing would print it next to the log  # noqa: BLE001
        _log.exception("Uncaught exception.")
        sys.exit(UNCAUGHT)


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)
