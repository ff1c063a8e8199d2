"""Runs `python -m mailsettings` by forking: the imports, which take a second, are done once for many commands.

`python command_server.py SOCKET` runs until its standard input ends. A connection is one command: it passes open
files, first one with the arguments, environment and folder as JSON, then standard input, output and error. It is
answered with the number of the process and, when that has ended, its exit code.
No thread and no event loop exists when a command begins.
"""

import json
import os
import random
import runpy
import select
import signal
import socket
import sys
import time

from mailsettings import (
    bootstrap,  # noqa: F401  # what commands import when they start
    cli,  # noqa: F401
)

FILES = 4


def serve(listener: socket.socket) -> None:
    """Fork for each connection. Return at the end, and in each process of a command."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # those that attend to a connection are not waited for
    while listener in select.select([listener, sys.stdin], [], [])[0]:
        connection, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            attend(connection)
            return
        connection.close()


def attend(connection: socket.socket) -> None:
    """Start a command and tell how it ends. Return in the command only."""
    _, files, _, _ = socket.recv_fds(connection, 1, FILES)
    process = os.fork()
    if process == 0:
        connection.close()
        become(*files)
        return
    for file in files:
        os.close(file)
    connection.sendall(f"{process}\n".encode())
    _, status = os.waitpid(process, 0)
    connection.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
    os._exit(0)


def become(request: int, *standard: int) -> None:
    """Be a new process with these arguments, environment and files."""
    for number, file in enumerate(standard):
        os.dup2(file, number)
        os.close(file)
    with os.fdopen(request) as told:
        wanted = json.load(told)
    os.environ.clear()
    os.environ.update(wanted["environment"])
    os.chdir(wanted["folder"])
    time.tzset()
    random.seed()
    sys.argv = ["mailsettings", *wanted["arguments"]]
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        stream.reconfigure(encoding=os.environ.get("PYTHONIOENCODING", "utf-8"))  # type: ignore[union-attr]  # is text


if __name__ == "__main__":
    with socket.socket(socket.AF_UNIX) as at:
        at.bind(sys.argv[1])
        at.listen(64)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        serve(at)
    if sys.argv[0] == "mailsettings":
        runpy.run_module("mailsettings", run_name="__main__", alter_sys=True)
