"""Runs `mailsettings-sendmail` in this process, with a settings file for a server of the test."""

import asyncio
from collections.abc import Awaitable, Callable
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import pytest

from mailsettings.sendmail import run

from support.smtp_server import AUTHORITY_PEM, HOST, USERNAME

MAIL = b"From: web1@example.com\nTo: ops@example.com\nSubject: disk full\n\nSee /var.\n"


class Ended(NamedTuple):
    """How the program ended, and what it wrote."""

    code: int
    output: str
    errors: str


Sendmail = Callable[..., Awaitable[Ended]]
WriteSettings = Callable[..., Path]


@pytest.fixture
def sendmail_settings(tmp_path: Path) -> WriteSettings:
    """Writes a settings file; keywords change or add keys, and None leaves one out."""

    def write(port: int, /, **changed: str | None) -> Path:
        authority = tmp_path / "authority.pem"
        authority.write_text(AUTHORITY_PEM)
        keys: dict[str, str | None] = {
            "host": HOST,
            "port": str(port),
            "security": "starttls",
            "ca_file": str(authority),
            "user": USERNAME,
            "secret": "canary-password",
            "timeout": "60",
            "sender": "web1@example.com",
            "local_address": "admin@example.com",
        }
        file = tmp_path / "sendmail.conf"
        file.write_text(
            "".join(f"{key} = {value}\n" for key, value in (keys | changed).items() if value is not None)
        )
        file.chmod(0o600)
        return file

    return write


@pytest.fixture
def sendmail(capsys: pytest.CaptureFixture[str]) -> Sendmail:
    """Runs the program with a settings file, options and a message."""

    async def call(settings: Path, *words: str, message: bytes = MAIL, name: str = "sendmail") -> Ended:
        stream = BytesIO(message)
        code = await asyncio.to_thread(run, [name, "-C", str(settings), *words], stream)
        return Ended(code, *capsys.readouterr())

    return call
