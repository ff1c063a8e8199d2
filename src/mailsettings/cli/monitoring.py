"""The commands about monitoring: the health of the mail servers as scheduled checks found it."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from mailsettings.cli.command import Group
from mailsettings.cli.local import operator, run

if TYPE_CHECKING:
    from mailsettings.domain.monitoring import MonitoredServer


@click.group(cls=Group)
def monitoring() -> None:
    """Show the results of scheduled checks; see MAILSETTINGS_MONITORING_INTERVAL."""


@monitoring.command()
@click.option("--json", "as_json", is_flag=True, help="Print each server as a line of JSON.")
def status(*, as_json: bool) -> None:
    """Print the health of each mail server, the time of its last change, and the days until anything expires."""
    now = datetime.now(UTC).timestamp()
    for server in run(lambda backend: backend.monitoring_status.list(operator())):
        members = dict(_members(server, now))
        click.echo(json.dumps(members) if as_json else _line(server, members))


def _members(server: "MonitoredServer", now: float) -> Iterator[tuple[str, object]]:
    from mailsettings.domain.monitoring import days_left, expiry_time

    certificate, secret = server.certificate_ends_at, server.secret_ends_on
    yield from {"id": server.server_id, "host": server.host, "port": server.port}.items()
    yield from {"health": str(server.health), "stage": server.stage, "code": server.code}.items()
    yield from {"since": _iso(server.since), "checked_at": _iso(server.checked_at)}.items()
    yield "certificate_days_left", None if certificate is None else days_left(certificate, now)
    yield "secret_expires_on", None if secret is None else secret.isoformat()
    yield "secret_days_left", None if secret is None else days_left(expiry_time(secret), now)


def _line(server: "MonitoredServer", members: dict[str, object]) -> str:
    from mailsettings.domain.monitoring import Health

    parts = [str(server.server_id), f"{server.host}:{server.port}", str(server.health)]
    if server.health is not Health.UNCHECKED:
        parts.append(f"since {members['since']}")
    if server.code is not None:
        parts.append(f"{server.stage}: {server.code}")
    for name, what in (("certificate_days_left", "certificate"), ("secret_days_left", "secret")):
        if members[name] is not None:
            parts.append(f"{what}: {members[name]} days left")
    return "\t".join(parts)


def _iso(moment: float | None) -> str | None:
    return None if moment is None else datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
