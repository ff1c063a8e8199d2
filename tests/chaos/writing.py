"""Forks one writer after the other, each of which writes to the same database until it is killed.

A line on standard input names a writer. The first line of the answer is its process, then comes one for each
change that the store has acknowledged to it, and the last one is `gone`.
"""

import asyncio
import os
import sys
from dataclasses import replace

from mailsettings.domain.mail_server import ConnectionSecurity, MailServer, Sender
from mailsettings.store.database import SQLStore
from mailsettings.store.encryption.sealing import Sealer

from support.databases import KEY

RELAY = MailServer("relay.example.org", 25, ConnectionSecurity.NONE, Sender("a@b"))


async def write(database: str, name: str) -> None:
    """Without end."""
    store = SQLStore(f"sqlite:///{database}", Sealer(KEY))
    number = 0
    while True:
        number += 1
        host = f"{name}-{number}"
        async with store.writing() as work:
            await work.mail_servers.add(replace(RELAY, host=host))
        say(host)


def say(word: str) -> None:
    """At once, and as a whole."""
    os.write(1, f"{word}\n".encode())


def fork(database: str) -> None:
    """Until the input ends."""
    for line in sys.stdin:
        process = os.fork()
        if process == 0:
            asyncio.run(write(database, line.strip()))
        say(str(process))
        os.waitpid(process, 0)
        say("gone")


if __name__ == "__main__":
    fork(sys.argv[1])
