"""A mail server for trials: it accepts every mail on loopback, delivers none, and prints them all."""

import argparse
import asyncio
import sys
from contextlib import suppress

from aiosmtpd.smtp import SMTP, Envelope, Session

HOST = "127.0.0.1"


class Printing:
    """Handles the mails for aiosmtpd."""

    async def handle_DATA(  # noqa: N802  # aiosmtpd looks for this name
        self, _server: SMTP, _session: Session, envelope: Envelope
    ) -> str:
        """Print the mail, without characters that move a terminal's cursor."""
        content = envelope.content or b""
        text = content if isinstance(content, str) else content.decode(errors="replace")
        print(f"--- mail from {envelope.mail_from} to {', '.join(envelope.rcpt_tos)}")
        for line in text.splitlines():
            print("".join(character if character.isprintable() else " " for character in line))
        print("---", flush=True)
        return "250 2.0.0 Printed"


async def serve(port: int) -> None:
    """Accept mails until cancelled. Raises `OSError` if the port is in use."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: SMTP(Printing(), hostname="catch-all.localhost", enable_SMTPUTF8=True, loop=loop), HOST, port
    )
    print(f"Every mail to {HOST}:{port} is printed here; Ctrl-C ends this.", flush=True)
    async with server:
        await server.serve_forever()


def main() -> int:
    """Serve on the port of the command line and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=1025)
    port = parser.parse_args().port
    try:
        with suppress(KeyboardInterrupt):
            asyncio.run(serve(port))
    except OSError as error:
        print(f"{HOST}:{port} cannot be used: {error.strerror or error}.", file=sys.stderr, end=" ")
        print("Choose another one: make catch-all CATCH_ALL_PORT=2525", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
