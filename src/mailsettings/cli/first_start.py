"""What the first start makes, and what every start says."""

import secrets
import shlex
import sys

import click

from mailsettings.bootstrap import create_backend
from mailsettings.cli.running import operator
from mailsettings.domain.access import Account
from mailsettings.settings import PREFIX, Settings

FIRST_ADMIN = Account("admin", frozenset({"manage-system-settings", "view-audit-log", "view-metrics"}))


async def create_first_admin(settings: Settings) -> str | None:
    """Make the first account if there is none; its password if it is a random one that has to be told."""
    given = settings.admin_password
    password = given.get_secret_value() if given else secrets.token_urlsafe(18)
    backend = create_backend(settings)
    try:
        await backend.establish()
        if await backend.accounts.list():
            return None
        made = await backend.accounts.add_first(operator(), FIRST_ADMIN, password)
    finally:
        await backend.close()
    return password if made and given is None else None


def print_greeting(settings: Settings, password: str | None) -> None:
    """Say where everything is. *password* is said once, on the start that made it."""
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    url = f"{'https' if settings.tls_certificate else 'http'}://{host}:{settings.port}"
    if password is not None:
        click.echo(f"First account: {FIRST_ADMIN.name}   password: {password}   (not shown again)")
    click.echo(f"Documentation: {url}/docs")
    click.echo(f"Try:           {_curl(settings, url)}")
    sys.stdout.flush()


def _curl(settings: Settings, url: str) -> str:
    """A line that works when pasted into a shell on this machine; it holds no secret."""
    directory = shlex.quote(f"{PREFIX}DATA_DIR={settings.data_dir.absolute()}")
    program = f"{shlex.quote(sys.executable)} -m mailsettings"
    make_token = f"env {directory} {program} token --permission view-mail-settings"
    return f'curl -i -H "Authorization: Bearer $({make_token})" {url}/cxrestapi/auth/SMTPSettings'
