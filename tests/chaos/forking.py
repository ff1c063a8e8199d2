"""Starts servers as the command line does, by forking: the imports, which take a second, are done once for all.

A line on standard input is a port and a file for the server's output; a line on standard output is its process.
Nothing is started before there is something to fork, so that no thread or event loop is copied.
"""

import os
import signal
import sys

from mailsettings import bootstrap  # noqa: F401  # what a server imports when it starts
from mailsettings.cli import main


def serve(port: str, output: str) -> None:
    """In the child: be a server."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for standard in (1, 2):
        os.dup2(file, standard)
    try:
        main(["serve", "--port", port])
    finally:
        os._exit(1)


def fork() -> None:
    """Until the input ends."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the dead are not to be waited for
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for line in sys.stdin:
        process = os.fork()
        if process == 0:
            serve(*line.split())
        sys.stdout.write(f"{process}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    fork()
