"""A running service and a mail server, for programs that are clients of the service."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from support.processes import clean_environment, free_port, serving


class CatchAll:
    """Accepts every mail."""

    def __init__(self) -> None:
        self.recipients: list[str] = []

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:
        self.recipients += map(str, envelope.rcpt_tos)
        return "250 2.0.0 Ok"


@dataclass
class Peers:
    """A running service and a mail server; `environment` tells a program where both are."""

    environment: Mapping[str, str]
    mails: CatchAll


@contextmanager
def running_peers(folder: Path) -> Iterator[Peers]:
    """Run both; the data of the service are in *folder*."""
    mails = CatchAll()
    smtp = Controller(mails, hostname="127.0.0.1", port=free_port())
    smtp.start()
    try:
        with serving(clean_environment(folder / "data"), "--dev") as (url, _):
            told = {"BASE_URL": url, "SMTP_PORT": str(smtp.port), "CLOSED_PORT": str(free_port())}
            yield Peers({**os.environ, **told, "PASSWORD": "correct horse"}, mails)
    finally:
        smtp.stop()
