"""Runs Python programs by forking: the imports, which take a second, are done once for many programs.

`python -m support.command_server SOCKET` runs until its standard input ends. A connection is one program: it
passes open files, first one with the arguments of `python`, the environment and the folder as JSON, then standard
input, output and error. The server answers with the number of the process and, when that has ended, its exit code.
A client that disconnects earlier ends the process. No thread and no event loop exists when a program begins.
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

import mailsettings.cli.serving.start  # what commands import when they run
import mailsettings.cli.testing.probing  # noqa: F401  # the same

from support import worker_forks

FILES = 4


def serve(listener: socket.socket) -> list[str]:
    """Fork for each connection. Return no arguments at the end, and in each process those of its program."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # those that attend to a connection are not waited for
    while listener in select.select([listener, sys.stdin], [], [])[0]:
        connection, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            return attend(connection)
        connection.close()
    return []


def attend(connection: socket.socket) -> list[str]:
    """Start a program and report how it ends. Return in the program only."""
    _, files, _, _ = socket.recv_fds(connection, 1, FILES)
    process = os.fork()
    if process == 0:
        connection.close()
        return become(*files)
    for file in files:
        os.close(file)
    connection.sendall(f"{process}\n".encode())
    ends: list[socket.socket | int] = [connection, os.pidfd_open(process)]
    if connection in select.select(ends, [], [])[0]:
        os.kill(process, signal.SIGKILL)
    _, status = os.waitpid(process, 0)
    connection.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
    os._exit(0)


def become(request: int, *standard: int) -> list[str]:
    """Be a new process with the requested environment and files; return its arguments."""
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
    encoding = os.environ.get("PYTHONIOENCODING", "utf-8")
    sys.stdin = open(0, encoding=encoding, closefd=False)  # noqa: SIM115  # not files with a path
    sys.stdout = open(1, "w", encoding=encoding, closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", 1, encoding=encoding, errors="backslashreplace", closefd=False)  # noqa: SIM115
    arguments: list[str] = wanted["arguments"]
    if any(argument.startswith("--workers") for argument in arguments):
        return worker_forks.prepare() or arguments
    return arguments


def run(arguments: list[str]) -> None:
    """Do what `python ARGUMENTS` does."""
    match arguments:
        case ["-m", module, *rest]:
            sys.path[0], sys.argv = str(os.getcwd()), [module, *rest]  # noqa: PTH109  # as Python does
            runpy.run_module(module, run_name="__main__", alter_sys=True)
        case ["-c", program, *rest]:
            sys.path[0], sys.argv = "", ["-c", *rest]
            exec(compile(program, "<string>", "exec"), {"__name__": "__main__"})  # as Python does
        case [script, *rest]:
            sys.path[0], sys.argv = os.path.dirname(os.path.abspath(script)), [script, *rest]  # noqa: PTH100, PTH120
            runpy.run_path(script, run_name="__main__")


if __name__ == "__main__":
    with socket.socket(socket.AF_UNIX) as at:
        at.bind(sys.argv[1])
        at.listen(64)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        arguments = serve(at)
    run(arguments)
