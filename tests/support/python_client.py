"""Runs `python ARGUMENTS` by the command server: `python -IS python_client.py SOCKET ARGUMENTS`.

It imports little, because scripts run it again and again.
"""

import json
import os
import signal
import socket
import sys


def main(address: str, *arguments: str) -> None:
    """Pass on arguments, environment, folder and standard files, and end as the program ends."""
    request = os.memfd_create("request")
    wanted = {"arguments": arguments, "environment": dict(os.environ), "folder": os.getcwd()}  # noqa: PTH109
    os.write(request, json.dumps(wanted).encode())
    os.lseek(request, 0, os.SEEK_SET)
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(address)
        socket.send_fds(connection, [b"."], [request, 0, 1, 2])
        answer = connection.makefile()
        process = int(answer.readline())
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda number, _frame: os.kill(process, number))
        status = int(answer.readline())
    if status < 0:
        signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    os._exit(status)


main(*sys.argv[1:])
