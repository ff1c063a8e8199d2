"""Lets `multiprocessing` fork a new process from a clean one, where it would start Python and import everything.

`prepare` forks a helper that is as clean as a Python that has just imported the service. For each new process, the
helper forks a child that forks the process and ends, so that their ancestor inherits the process: it is a child of
its creator, with the environment, limits and open files of a process that was started.
"""

import ctypes
import json
import multiprocessing.util
import os
import resource
import socket
from collections.abc import Sequence
from typing import Any

from prometheus_client import values

NAME = "worker"
"""The name of the processes in /proc/PID/comm."""
_SET_NAME, _SET_CHILD_SUBREAPER = 15, 36  # Linux, prctl(2)
_FORKED = "--multiprocessing-fork"
_MAX_BYTES = 2**17
_MAX_FILES = 64


def _prctl(option: int, value: object) -> None:
    ctypes.CDLL(None).prctl(option, value)


def prepare() -> list[str]:
    """Fork the helper. Return no arguments in the caller, and in each new process those of its Python."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    if os.fork() == 0:
        ours.close()
        return _help(theirs)
    theirs.close()
    _prctl(_SET_CHILD_SUBREAPER, 1)
    util: Any = multiprocessing.util
    start = util.spawnv_passfds

    def fork_or_start(path: bytes, arguments: Sequence[str], files: Sequence[int]) -> Any:
        if _FORKED not in arguments:  # the resource tracker
            return start(path, arguments, files)
        wanted = {
            "arguments": arguments[arguments.index("-c") :],
            "environment": dict(os.environ),
            "files": [0, 1, 2, *files],
            "max_files": resource.getrlimit(resource.RLIMIT_NOFILE),
        }
        socket.send_fds(ours, [json.dumps(wanted).encode()], [0, 1, 2, *files])
        return int(ours.recv(_MAX_BYTES))

    util.spawnv_passfds = fork_or_start
    return []


def _help(creator: socket.socket) -> list[str]:
    """Fork on request until the creator ends. Return in the new processes only."""
    while True:
        request, files, _, _ = socket.recv_fds(creator, _MAX_BYTES, _MAX_FILES)
        if not request:
            os._exit(0)
        reading, writing = os.pipe()
        between = os.fork()
        if between == 0:
            process = os.fork()
            if process == 0:
                for file in (creator.detach(), reading, writing):
                    os.close(file)
                return _become(json.loads(request), files)
            os.write(writing, str(process).encode())
            os._exit(0)
        os.waitpid(between, 0)
        creator.sendall(os.read(reading, 64))
        for file in (*files, reading, writing):
            os.close(file)


def _become(wanted: Any, files: Sequence[int]) -> list[str]:
    os.environ.clear()
    os.environ.update(wanted["environment"])
    resource.setrlimit(resource.RLIMIT_NOFILE, wanted["max_files"])
    # prometheus_client reads the environment when it is imported.
    values.ValueClass = values.get_value_class()
    _move(files, wanted["files"])
    _prctl(_SET_NAME, NAME.encode())
    arguments: list[str] = wanted["arguments"]
    return arguments


def _move(files: Sequence[int], numbers: Sequence[int]) -> None:
    """Give the open *files* these *numbers*, and let new processes inherit them."""
    above = max(*files, *numbers) + 1
    for position, file in enumerate(files):
        os.dup2(file, above + position)
        os.close(file)
    for position, number in enumerate(numbers):
        os.dup2(above + position, number)
        os.close(above + position)
