"""A mail server that accepts everything at once, for benchmarks, in a separate process."""

import asyncio
import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_PROCESSES = multiprocessing.get_context("fork")
_REPLIES = {
    b"EHLO": b"250-mail.example.org\r\n250-PIPELINING\r\n250 8BITMIME\r\n",
    b"DATA": b"354 go on\r\n",
    b"QUIT": b"221 bye\r\n",
}


@contextmanager
def smtp_sink() -> Iterator[int]:
    """Return its loopback port."""
    told, tells = _PROCESSES.Pipe(duplex=False)

    async def serve() -> None:
        server = await asyncio.start_server(_converse, "127.0.0.1", 0, backlog=1024)
        tells.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    process = _PROCESSES.Process(target=lambda: asyncio.run(serve()), daemon=True)
    process.start()
    try:
        yield told.recv()
    finally:
        process.terminate()
        process.join()


async def _converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError, asyncio.IncompleteReadError):
        writer.write(b"220 mail.example.org ESMTP\r\n")
        while line := await reader.readline():
            command = line[:4].upper()
            writer.write(_REPLIES.get(command, b"250 ok\r\n"))
            if command == b"DATA":
                await reader.readuntil(b"\r\n.\r\n")
                writer.write(b"250 taken\r\n")
            if command == b"QUIT":
                break
    writer.close()
