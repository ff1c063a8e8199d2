"""A mail server as a process that can be killed: it writes the subject of each message to a file, then accepts it.

Usage: python -m chaos.mail_sink PORT FILE
"""

import asyncio
import os
import re
import sys
from pathlib import Path

from support.provider import Provider, running

_SUBJECT = re.compile(rb"(?mi)^Subject: (\S+)\r$")


async def serve(port: int, file: Path) -> None:
    """Accept messages until killed."""
    written = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def keep(content: bytes) -> None:
        found = _SUBJECT.search(content)
        os.write(written, (found[1] if found else b"?") + b"\n")

    async with running(Provider(on_accepted=keep, pace=0.005), port):
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), Path(sys.argv[2])))
