"""What `serve` says at its start: addresses, and the password of the first account.

A log in JSON goes to a collector that keeps it for long: no other line is in it, and no password.
"""

import logging
import os
import shlex
import sys
import tempfile
from pathlib import Path

import click

from mailsettings.settings import PREFIX, Settings

_log = logging.getLogger("mailsettings.server")


def keep_password(folder: Path, password: str) -> Path:
    """Write *password* to a new file in *folder* that only its owner may read; return its path.

    If this process cannot write there, the file is in the directory of temporary files.
    """
    descriptor, name = tempfile.mkstemp(
        prefix="mailsettings-first-password-", dir=folder if os.access(folder, os.W_OK) else None
    )
    with os.fdopen(descriptor, "w") as file:
        file.write(f"{password}\n")
    return Path(name)


def greet(settings: Settings, account: str, password: str | Path | None) -> None:
    """Say the addresses of the service, and *password* or its file on the start that created *account*."""
    host = f"[{settings.hosts[0]}]" if ":" in settings.hosts[0] else settings.hosts[0]
    url = f"{'https' if settings.tls_certificate else 'http'}://{host}:{settings.port}"
    if settings.log_style == "text":
        _print(settings, url, account, password)
        return
    _log.info("The documentation is at %s/docs.", url)
    if password is not None:
        # A warning, so that no log level hides it.
        _log.warning("The password of the first account, %s, is in %s. Delete that file soon.", account, password)


def _print(settings: Settings, url: str, account: str, password: str | Path | None) -> None:
    if password is not None:
        click.echo(f"First account: {account}   password: {password}   (not shown again)")
    click.echo(f"Documentation: {url}/docs")
    click.echo(f"Try:           {_curl(settings, url)}")
    sys.stdout.flush()


def _curl(settings: Settings, url: str) -> str:
    """Return a command line that works in a shell on this machine; it contains no secret."""
    directory = shlex.quote(f"{PREFIX}DATA_DIR={settings.data_dir.absolute()}")
    program = f"{shlex.quote(sys.executable)} -m mailsettings"
    make_token = f"env {directory} {program} token --permission view-mail-settings"
    return f'curl -i -H "Authorization: Bearer $({make_token})" {url}/cxrestapi/auth/SMTPSettings'
