"""`-bs`: the caller speaks SMTP on standard input and output; we connect, encrypt and log in for it."""

import os
from select import select

from mailsettings.sendmail.config_file import Config
from mailsettings.sendmail.connection import Connection
from mailsettings.sendmail.submission import log_in

_INPUT, _OUTPUT = 0, 1
_CHUNK = 1 << 16


def converse(config: Config) -> None:
    """Pass bytes in both directions until one side ends. The caller may not log in; it is logged in."""
    connection = Connection(config)
    log_in(connection, config)
    _write(f"220 {config.host} ESMTP\r\n".encode())
    connection.socket.settimeout(config.timeout)
    try:
        while _pass_on(connection):
            pass
    finally:
        connection.socket.close()


def _pass_on(connection: Connection) -> bool:
    """Pass on what either side sends; return whether both sides continue."""
    ready, _, _ = select([_INPUT, connection.socket.fileno()], [], [])
    if connection.socket.fileno() in ready:
        data = connection.socket.recv(_CHUNK)
        _write(data)
        return bool(data)
    data = os.read(_INPUT, _CHUNK)
    connection.socket.sendall(data)
    return bool(data)


def _write(data: bytes) -> None:
    while data:
        data = data[os.write(_OUTPUT, data) :]
