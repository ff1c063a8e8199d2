"""A connection test as text for people: a line for each stage, then what failed and what to do."""

import io
import sys
from collections.abc import Iterator
from datetime import UTC, datetime

import click

from mailsettings.domain.observation import TLSSession
from mailsettings.domain.probe import Observed, Outcome, ProbeFailure, ProbeReport, StageReport
from mailsettings.domain.setting import SERVICE_SETTINGS, Setting
from mailsettings.web.report import Vocabulary, report_json

_MARKS = {Outcome.PASSED: "ok", Outcome.FAILED: "FAILED", Outcome.SKIPPED: "-", Outcome.UNKNOWN: "?"}
_COLOURS = {Outcome.PASSED: "green", Outcome.FAILED: "red", Outcome.SKIPPED: None, Outcome.UNKNOWN: "yellow"}
_INDENT = " " * 14
STORED_WORDS = Vocabulary({setting: str(setting) for setting in Setting if setting not in SERVICE_SETTINGS})


recipient_option = click.option(
    "--to", "recipient", metavar="ADDRESS", help="Send the test mail here; without it none is sent."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")


def tell(report: ProbeReport, *, as_json: bool) -> None:
    """Print *report*; click leaves the colours out where there is no terminal."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # not every terminal can say what servers say
    click.echo(report_json(report, STORED_WORDS) if as_json else render(report))


def render(report: ProbeReport) -> str:
    """The whole report, without a line feed at its end."""
    lines = [line for stage in report.stages for line in _lines(stage)]
    lines += [f"{click.style('warning', fg='yellow')}: {one.explanation}" for one in report.warnings]
    if report.failure is None:
        return "\n".join([*lines, "The mail server works."])
    return "\n".join([*lines, "", *_about(report.failure)])


def _about(failure: ProbeFailure) -> Iterator[str]:
    yield f"{click.style(failure.title, bold=True)} [{failure.code}]"
    yield f"{failure.stage}: {failure.explanation}"
    if failure.reply:
        yield f"The server replied: {failure.reply}"
    for number, step in enumerate(failure.steps, 1):
        yield f"{number}. {step}"
    for change in STORED_WORDS.changes(failure):
        if change.suggested is not None:
            now = f" (now {change.current})" if change.current is not None else ""
            yield f"-> set {change.field} to {change.suggested}{now}"


def _lines(stage: StageReport) -> Iterator[str]:
    seen = stage.observed
    mark = click.style(f"{_MARKS[stage.outcome]:<7}", fg=_COLOURS[stage.outcome])
    said = " ".join(filter(None, (seen.note, seen.mechanism, str(seen.reply or ""))))
    yield f"{stage.stage:<13}{mark}{stage.milliseconds:>6} ms  {said}".rstrip()
    yield from (f"{_INDENT}{line}" for line in _details(seen))


def _details(seen: Observed) -> Iterator[str]:
    for attempt in seen.attempts:
        yield f"{attempt.address} {attempt.outcome}, {attempt.milliseconds} ms"
    if seen.greeting and seen.greeting.extensions:
        yield f"offers {' '.join(seen.greeting.extensions)}"
    if seen.greeting and seen.greeting.mechanisms:
        yield f"logins {' '.join(seen.greeting.mechanisms)}"
    if seen.tls:
        yield from _encryption(seen.tls)


def _encryption(tls: TLSSession) -> Iterator[str]:
    yield f"{tls.version} {tls.cipher}"
    for certificate in tls.chain:
        left = certificate.days_left(datetime.now(UTC))
        names = f" for {', '.join(certificate.names)}" if certificate.names else ""
        yield f"{certificate.subject}{names}, {left} days left, SHA-256 {certificate.sha256}"
