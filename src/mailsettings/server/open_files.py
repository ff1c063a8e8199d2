"""The limit of open files: each connection is one, and the system gives a process few unless it asks."""

import logging
import sys

RESERVED_FILES = 256
"""For connections to the database and to mail servers, the listener, files, and rejected connections."""
MIN_CONNECTIONS = 16

_log = logging.getLogger("mailsettings.server")


def raise_open_file_limit(connections: int) -> int:
    """Raise the soft limit of open files as far as needed and allowed; return how many connections fit."""
    limit = _raise_soft_limit(connections + RESERVED_FILES)
    fitting = max(MIN_CONNECTIONS, min(connections, limit - RESERVED_FILES))
    if fitting < connections:
        _log.warning(
            "The system allows this process %d open files, so it accepts at most %d connections instead of %d. "
            "Raise the hard limit of open files, for example with `ulimit -Hn`, LimitNOFILE= or --ulimit nofile=.",
            limit,
            fitting,
            connections,
        )
    else:
        _log.info("Accepting at most %d connections.", connections)
    return fitting


def _raise_soft_limit(wanted: int) -> int:
    if sys.platform == "win32":
        return wanted  # sockets are not files on Windows
    import resource  # noqa: PLC0415  # does not exist on Windows

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = resource.RLIM_INFINITY
    soft, most = (wanted if each == unlimited else each for each in (soft, hard))
    raised = max(soft, min(wanted, most))
    if raised > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (raised, hard))
    return raised
