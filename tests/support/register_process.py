"""Processes that read and write one mail server at random: `python -m support.register_process URL COUNT WRITES`.

The first line of the output has their ids. Each further line is an operation as JSON: whether it is a write, the
host, and when it began and ended, on the clock that all processes of the machine share.
"""

import asyncio
import json
import os
import random
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace

from mailsettings.domain.access import Moment
from mailsettings.domain.errors import StoreUnavailable
from mailsettings.domain.mail_server import StoredMailServer
from mailsettings.store.database import SQLStore
from mailsettings.store.encryption.sealing import Sealer

KEY = bytes(range(32))
READERS = 3
MAX_PAUSE_SECONDS = 0.01


async def by_id(store: SQLStore, moment: Moment) -> str:
    return host_of(await store.cache.mail_server(1, moment))


async def default(store: SQLStore, moment: Moment) -> str:
    return host_of(await store.cache.default_mail_server(moment))


async def listed(store: SQLStore, moment: Moment) -> str:
    (server,) = await store.cache.page(0, 10, moment)
    return server.host


def host_of(stored: StoredMailServer | None) -> str:
    assert stored is not None
    return stored.server.host


Read = Callable[[SQLStore, Moment], Awaitable[str]]
READS: list[Read] = [by_id, default, listed]


async def read(store: SQLStore, done: asyncio.Event) -> None:
    """As requests: the account of the caller, then the mail server, confirmed by one answer."""
    while not done.is_set():
        began = time.monotonic()
        moment = Moment()
        try:
            await store.cache.account("caller", moment)
            host = await random.choice(READS)(store, moment)
        except StoreUnavailable:
            continue
        note(is_write=False, host=host, began=began)
        await asyncio.sleep(random.random() * MAX_PAUSE_SECONDS)


async def write(store: SQLStore, name: str, count: int) -> None:
    for number in range(count):
        host = f"{name}-{number}.example.org"
        began = time.monotonic()
        try:
            async with store.writing() as work:
                stored = await work.mail_servers.find(1)
                assert stored is not None
                await work.mail_servers.replace(1, replace(stored.server, host=host), stored=stored)
        except StoreUnavailable:
            note(is_write=True, host=host, began=began, ended=None)
        else:
            note(is_write=True, host=host, began=began)
        await asyncio.sleep(random.random() * MAX_PAUSE_SECONDS * 2)


def note(*, is_write: bool, host: str, began: float, ended: float | None = 0) -> None:
    """Write an operation; `ended` is None for a write without an answer."""
    put([is_write, host, began, None if ended is None else time.monotonic()])


def put(line: list[object]) -> None:
    # One call for each line, so that the lines of the processes do not mix.
    os.write(sys.stdout.fileno(), json.dumps(line).encode() + b"\n")


def fork(url: str, name: str, writes: int) -> int:
    """Return the id of a new process, which is forked because the imports take longer than its work."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            asyncio.run(main(url, name, writes))
            status = 0
        finally:
            os._exit(status)
    return child


async def main(url: str, name: str, writes: int) -> None:
    store = SQLStore(url, Sealer(KEY))
    done = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for _ in range(READERS):
            group.create_task(read(store, done))
        await write(store, name, writes)
        done.set()
    await store.close()


if __name__ == "__main__":
    children = [fork(sys.argv[1], f"p{number}", int(sys.argv[3])) for number in range(int(sys.argv[2]))]
    put([*children])
    statuses = [os.waitpid(child, 0)[1] for child in children]
    sys.exit(any(statuses))
