"""The relay's process, which `cli/relay.py` starts in place of itself.

Arguments: a file descriptor with the configuration; and, if another process supervises the relay, the read end of
a pipe that the other holds open.
"""

import asyncio
import gc
import logging
import os
import pickle
import signal
import sys
from collections.abc import Callable

import uvloop

from mailsettings import logs
from mailsettings.bootstrap.relay import Relay, RelayConfiguration
from mailsettings.domain.errors import StoreUnavailable
from mailsettings.store.encryption.key_check import WrongKey
from mailsettings.store.private_file import KeyFileUnusable

FAILED = 1
GARBAGE_THRESHOLD = 10_000
"""So many new objects, in place of 700, start a search for cycles: it took up to a tenth of the processor time,
and a message leaves hardly any."""
_log = logging.getLogger("mailsettings.relay")


def main() -> None:
    """Run the relay until a signal, or until its supervisor ends."""
    descriptor, *supervisor = map(int, sys.argv[1:])
    with os.fdopen(descriptor, "rb") as file:
        configuration: RelayConfiguration = pickle.load(file)  # noqa: S301  # our own process wrote it
    logs.configure(configuration.log_format, configuration.log_level, in_background=True)
    gc.collect()
    # The objects up to here live as long as the process, so the garbage collector need not check them again.
    gc.freeze()
    gc.set_threshold(GARBAGE_THRESHOLD)
    sys.exit(uvloop.run(_run(configuration, supervisor[0] if supervisor else None)))


async def _run(configuration: RelayConfiguration, supervisor: int | None) -> int:
    stopped = asyncio.Event()
    _stop_on_signals(stopped.set, exits_on_second=supervisor is None)
    if supervisor is not None:
        # Readable means the end of the other process: nothing is ever written.
        asyncio.get_running_loop().add_reader(supervisor, _stop_with_supervisor, supervisor, stopped.set)
    try:
        await Relay(configuration).run(stopped)
    except (OSError, StoreUnavailable, WrongKey, KeyFileUnusable) as error:
        _log.error("The relay cannot start: %s", error)
        return FAILED
    return 0


def _stop_on_signals(stop: Callable[[], None], *, exits_on_second: bool) -> None:
    """Stop at the first signal, and exit at once at the second.

    A supervised relay ignores the second: a process manager may signal the supervisor and the relay.
    """
    seen: list[int] = []

    def hear(number: int) -> None:
        seen.append(number)
        stop()
        if exits_on_second and len(seen) > 1:
            logging.shutdown()  # writes the last lines
            # os._exit, since Linux ignores an unhandled signal to the first process of a container (PID 1).
            os._exit(128 + number)

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, hear, number)


def _stop_with_supervisor(descriptor: int, stop: Callable[[], None]) -> None:
    asyncio.get_running_loop().remove_reader(descriptor)
    stop()


if __name__ == "__main__":
    main()
