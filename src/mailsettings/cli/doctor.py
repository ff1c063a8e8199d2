"""`mailsettings doctor`: is everything as it should be, and what to do where it is not."""

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import click

from mailsettings import __version__
from mailsettings.cli.client import Client, service
from mailsettings.cli.command import FAILED, Command, Failure, chosen
from mailsettings.cli.findings import Finding, State, good, print_findings, wrong
from mailsettings.cli.output import Item

MAX_CLOCK_DIFFERENCE_SECONDS = 60


@click.command(cls=Command)
def doctor() -> None:
    """Check settings, database, keys, files, clock, issuer, webhook and listeners; or what --url says.

    Prints a line for each, and what to do where it is wrong. Exits with 1 if anything is wrong.
    """
    if chosen("url"):
        is_well = print_findings(_far())
    else:
        from mailsettings.cli.checkup.checks import local_findings

        is_well = print_findings(local_findings())
    sys.exit(0 if is_well else FAILED)


def _far() -> Iterator[Finding]:
    try:
        with service() as client:
            yield from _of_service(client)
    except Failure as failure:
        yield wrong("service", failure.message, "Check --url and the token, and that the service runs.")


def _of_service(client: Client) -> Iterator[Finding]:
    versions = client.get("/version")
    database = versions["database"]
    yield good("service", f"{chosen('url')} answers.")
    yield _same_version(versions["version"])
    yield good("database", f"{database['kind']} {database['version']}, schema {database['schema_revision']}.")
    yield _clock(client)
    me = client.get("/me")
    names = [each["name"] for each in me["permissions"]]
    yield (
        good("caller", f"{me['name']} may: {', '.join(names)}.")
        if names
        else wrong(
            "caller", f"{me['name']} has no permission.", "Give it one: mailsettings account set-permissions."
        )
    )
    yield from _parts(client)


def _parts(client: Client) -> Iterator[Finding]:
    """Yield what the permissions of the caller allow it to read."""
    for check, path, look in (
        ("monitoring", "/monitoring", _monitoring),
        ("keys", "/encryption-keys", _keys),
        ("settings", "/settings", _settings),
    ):
        try:
            yield look(client.get(path))
        except Failure as failure:
            if failure.problem != "permission_denied":
                raise
            yield Finding(check, State.NOTE, f"Not checked: {failure.message}")


def _monitoring(found: Item) -> Finding:
    if not found["enabled"]:
        return Finding("monitoring", State.NOTE, "Scheduled checks are off: no MAILSETTINGS_MONITORING_INTERVAL.")
    if found["leader"] is None:
        return wrong("monitoring", "Scheduled checks are on, but no process runs them.", "Look at its log.")
    return good("monitoring", f"Checks every {found['interval_seconds']} s.")


def _keys(found: Item) -> Finding:
    if found["unreadable"]:
        count = len(found["unreadable"])
        return wrong("keys", f"{count} secrets cannot be decrypted.", "Put back the key file that fits.")
    return good("keys", f"All secrets can be decrypted; {len(found['items'])} encryption keys.")


def _settings(found: Item) -> Finding:
    changed = [each["name"] for each in found["items"] if each["source"] != "default"]
    return good("settings", f"These differ from the defaults: {', '.join(changed) or 'none'}.")


def _same_version(version: str) -> Finding:
    if version == __version__:
        return good("version", f"{version}, as this command.")
    return Finding("version", State.NOTE, f"The service is {version}, this command {__version__}.")


def _clock(client: Client) -> Finding:
    """Compare with the Date header of an answer (RFC 9110, 6.6.1)."""
    answer = client.exchange("GET", "/v1/version", {}, b"")
    b"".join(answer.chunks)
    try:
        theirs = parsedate_to_datetime(answer.headers["date"])
    except (KeyError, ValueError):
        return Finding("clock", State.NOTE, "The service sends no time.")
    return clock_finding((datetime.now(UTC) - theirs).total_seconds(), "the service's")


def clock_finding(seconds: float, other: str) -> Finding:
    """Return whether the clock of this machine, *seconds* ahead of another, is right enough."""
    if abs(seconds) <= MAX_CLOCK_DIFFERENCE_SECONDS:
        return good("clock", f"Within a minute of {other}.")
    direction = "ahead of" if seconds > 0 else "behind"
    found = f"This machine's is {abs(seconds):.0f} s {direction} {other}."
    return wrong("clock", found, "Synchronise both, for example by NTP.")
