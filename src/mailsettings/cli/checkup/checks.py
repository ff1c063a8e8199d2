"""What `doctor` looks at on the machine of the service. Each check continues where another found a fault."""

import asyncio
import platform
import socket
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from ssl import CERT_NONE, create_default_context

from mailsettings import __version__
from mailsettings.bootstrap.backend import create_backend, key_ring, require_database
from mailsettings.cli.checkup.relay import relay_findings
from mailsettings.cli.checkup.surroundings import outgoing, rights
from mailsettings.cli.command import Failure
from mailsettings.cli.doctor import MAX_CLOCK_DIFFERENCE_SECONDS, clock_finding
from mailsettings.cli.findings import Finding, State, good, wrong
from mailsettings.cli.running import read_settings, reporting_errors
from mailsettings.domain.audit_log import AuditFilter
from mailsettings.domain.listening import ListenAddress, RunningRelay
from mailsettings.settings import Settings
from mailsettings.settings.effective import effective_settings
from mailsettings.store import database_url, migrations
from mailsettings.store.encryption.key_check import needs_keys, require_matching_keys

RELEASED = datetime(2026, 11, 1, tzinfo=UTC)
"""A clock that shows an earlier time than this version's release is wrong."""
_LISTENER_SECONDS = 5
_MAX_ANSWER_BYTES = 1000


def local_findings() -> Iterator[Finding]:
    """Yield what each check found."""
    yield good("version", f"mail-settings {__version__}, Python {platform.python_version()}.")
    try:
        with reporting_errors():
            chosen = read_settings()
    except Failure as failure:
        yield wrong("settings", failure.message)
        return
    yield _settings(chosen)
    database = _database(chosen)
    yield database
    if database.state is State.GOOD:
        current = f"{migrations.head()}, current."
        yield from rights(chosen)
        schema = _checked("schema", lambda: migrations.require_current(chosen.database), current)
        yield schema
        keys = _checked_keys(chosen)
        yield keys
        if schema.state is keys.state is State.GOOD:
            yield from _by_database(chosen)
    yield from _files(chosen)
    yield _egress(chosen)
    yield from outgoing(chosen)
    for host in chosen.hosts:
        yield _listener(chosen, host)
    if chosen.metrics_listen is not None:
        yield _metrics_listener(chosen.metrics_listen)
    if chosen.dev:
        yield Finding(
            "dev", State.NOTE, "Development mode is on: connection tests may reach loopback and any port."
        )


def _settings(chosen: Settings) -> Finding:
    given = [each for each in effective_settings(chosen, {}) if each.source != "default"]
    said = ", ".join(f"{each.name} ({each.source})" for each in given)
    return good("settings", f"{said or 'all defaults'}. `mailsettings settings` prints the values.")


def _database(chosen: Settings) -> Finding:
    where = database_url.location(chosen.database)
    return _checked("database", lambda: require_database(chosen), f"Reachable, {where}.")


def _checked_keys(chosen: Settings) -> Finding:
    ring = key_ring(chosen)
    try:
        with reporting_errors():
            # The check of the keys would create the file.
            if ring.file.mark() is None and not needs_keys(chosen.database):
                return Finding("keys", State.NOTE, "There is no key file yet; the first start creates it.")
            if ring.file.mark() is None:
                return wrong("keys", f"There is no key file {ring.file.path}.", "Put it back.")
    except Failure as failure:
        return wrong("keys", failure.message)
    return _checked("keys", lambda: require_matching_keys(chosen.database, ring), "They fit the database.")


def _checked(check: str, require: Callable[[], None], found: str) -> Finding:
    try:
        with reporting_errors():
            require()
    except Failure as failure:
        return wrong(check, failure.message)
    return good(check, found)


def _by_database(chosen: Settings) -> Iterator[Finding]:
    """Yield what needs an open database: its clock, the witness of the audit log, and the relays."""
    try:
        with reporting_errors():
            ahead, latest, problem, relays = asyncio.run(_asked(chosen))
    except Failure as failure:
        yield wrong("audit log", failure.message)
        return
    yield _clock(ahead, latest)
    if problem is None:
        yield good("audit log", "It continues what its witness in the data directory knows.")
    else:
        yield wrong("audit log", problem, "If a restore explains it, run: mailsettings audit accept")
    yield from relay_findings(chosen, relays)


async def _asked(chosen: Settings) -> tuple[float, str | None, str | None, Sequence[RunningRelay]]:
    """Return the lead of this clock, the latest audit entry's time, the problem of the witness, and the relays."""
    backend = create_backend(chosen)
    try:
        async with backend.store.reading() as view:
            ahead = time.time() - await view.monitoring.now()
            newest = await view.audit.newest(AuditFilter(), None, 1)
            relays = await view.relays.running()
        return ahead, newest[0].at if newest else None, await backend.witness.problem(), relays
    finally:
        await backend.close()


def _clock(ahead: float, latest: str | None) -> Finding:
    now = datetime.now(UTC)
    if now < RELEASED:
        return wrong("clock", f"It shows {now:%Y-%m-%d}, before this version existed.", "Synchronise it.")
    if latest is not None and _moment(latest) > now + timedelta(seconds=MAX_CLOCK_DIFFERENCE_SECONDS):
        return wrong(
            "clock", f"The audit log has an entry of {latest[:19]}Z, in the future.", "Synchronise the clock."
        )
    return clock_finding(ahead, "the database's")


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _files(chosen: Settings) -> Iterator[Finding]:
    """Yield each file that other users can read, or that one file is fine."""
    places = [chosen.data_dir, *_sqlite_files(chosen)]
    open_to_others = [path for path in places if path.exists() and stat.S_IMODE(path.stat().st_mode) & 0o007]
    for path in open_to_others:
        mode = "700" if path.is_dir() else "600"
        yield wrong("files", f"{path} is open to every user of this machine.", f"Run: chmod {mode} {path}")
    if not open_to_others:
        yield good("files", f"Other users cannot read {chosen.data_dir}.")


def _sqlite_files(chosen: Settings) -> list[Path]:
    if not database_url.is_sqlite(chosen.database):
        return []
    file = database_url.sqlite_file(chosen.database)
    return [file, *(file.with_name(file.name + suffix) for suffix in ("-wal", "-shm"))]


def _egress(chosen: Settings) -> Finding:
    reach = {
        "private": "private and public addresses",
        "public": "public addresses only",
        "allowlist": "the allowed networks only",
    }[chosen.smtp_egress]
    networks = ", ".join(map(str, chosen.tested_networks))
    ports = (
        "any port" if chosen.tested_ports is None else f"ports {', '.join(map(str, sorted(chosen.tested_ports)))}"
    )
    also = f", and {networks}" if networks else ""
    return good(
        "egress", f"Connection tests may reach {reach}{also}, on {ports}; never metadata servers of clouds."
    )


def _listener(chosen: Settings, host: str) -> Finding:
    place = f"[{host}]:{chosen.port}" if ":" in host else f"{host}:{chosen.port}"
    try:
        with socket.create_connection((_reachable(host), chosen.port), _LISTENER_SECONDS):
            pass
    except ConnectionRefusedError:
        return good("listener", f"No program listens on {place}; `mailsettings serve` can.")
    except OSError as error:
        return wrong("listener", f"{place} cannot be used: {error.strerror or error}.", "Check MAILSETTINGS_HOST.")
    if _is_ours(chosen, _reachable(host)):
        return good("listener", f"The service answers on {place}.")
    return wrong(
        "listener", f"Another program listens on {place}.", "Choose another MAILSETTINGS_PORT, or stop it."
    )


def _metrics_listener(listen: ListenAddress) -> Finding:
    """Return whether the listener of metrics can be used; the service itself holds it while it runs."""
    try:
        with socket.create_connection((listen.reachable.host, listen.port), _LISTENER_SECONDS):
            return good("metrics", f"A program listens on {listen}: the service, if it runs.")
    except ConnectionRefusedError:
        return good("metrics", f"No program listens on {listen}; `mailsettings serve` can.")
    except OSError as error:
        reason = error.strerror or str(error)
        return wrong("metrics", f"{listen} cannot be used: {reason}.", "Check MAILSETTINGS_METRICS_LISTEN.")


def _is_ours(chosen: Settings, host: str) -> bool:
    """Return whether the health check of this service answers; its certificate is for another name than this."""
    if chosen.tls_certificate is None:
        connection = HTTPConnection(host, chosen.port, timeout=_LISTENER_SECONDS)
    else:
        context = create_default_context()
        context.check_hostname, context.verify_mode = False, CERT_NONE
        connection = HTTPSConnection(host, chosen.port, timeout=_LISTENER_SECONDS, context=context)
    with suppress(OSError, HTTPException), closing(connection):
        connection.request("GET", "/health/live")
        return b'"live"' in connection.getresponse().read(_MAX_ANSWER_BYTES)
    return False


def _reachable(host: str) -> str:
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  # where all addresses are served
