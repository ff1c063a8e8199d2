"""Print a connection test as text: a line for each stage as it ends, then the failure and what to do."""

import io
import sys
from collections.abc import Iterator
from datetime import UTC, datetime

import click

from mailsettings.domain.connection_test import (
    Outcome,
    ProbeFailure,
    ProbeProgress,
    ProbeReport,
    StageObservation,
    StageReport,
)
from mailsettings.domain.observation import Certificate, TLSSession
from mailsettings.domain.setting import SERVICE_SETTINGS, Setting
from mailsettings.web.report import Vocabulary, outcome_text, own_report_json

_MARKS = {Outcome.PASSED: "ok", Outcome.FAILED: "FAILED", Outcome.SKIPPED: "-", Outcome.UNKNOWN: "?"}
_COLOURS = {Outcome.PASSED: "green", Outcome.FAILED: "red", Outcome.SKIPPED: None, Outcome.UNKNOWN: "yellow"}
_INDENT = " " * 14
STORED_VOCABULARY = Vocabulary({setting: str(setting) for setting in Setting if setting not in SERVICE_SETTINGS})
"""Names of stored settings, which any API can change; also the names in --json."""


class ReportPrinter:
    """Prints a report in *words*: each stage as it ends, or everything as JSON at the end."""

    def __init__(self, words: Vocabulary, *, as_json: bool, show_pem: bool) -> None:
        self._words = words
        self._as_json = as_json
        self._show_pem = show_pem
        self._printed: list[StageReport] = []
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="replace")  # a terminal's encoding may lack characters of replies

    def on_progress(self, event: ProbeProgress) -> None:
        """Print the stage that has ended, if *event* is one."""
        if isinstance(event, StageReport):
            self._print(event)

    def _print(self, stage: StageReport) -> None:
        """Print *stage*; click omits the colours if the output is not a terminal."""
        if not self._as_json:
            self._printed.append(stage)
            click.echo("\n".join(_stage_lines(stage, show_pem=self._show_pem)))

    def print_rest(self, report: ProbeReport) -> None:
        """Print the rest of *report* after the stages that `on_progress` has printed."""
        if self._as_json:
            click.echo(own_report_json(report, STORED_VOCABULARY))
            return
        for stage in report.stages:
            if stage not in self._printed:
                self._print(stage)
        click.echo("\n".join(_outcome_lines(report, self._words)))


def render(report: ProbeReport, words: Vocabulary = STORED_VOCABULARY) -> str:
    """Return the whole report without a final line feed."""
    lines = [line for stage in report.stages for line in _stage_lines(stage, show_pem=False)]
    return "\n".join([*lines, *_outcome_lines(report, words)])


def _outcome_lines(report: ProbeReport, words: Vocabulary) -> Iterator[str]:
    for warning in report.warnings:
        yield f"{click.style('warning', fg='yellow')}: {warning.explanation}"
    if report.failure is None:
        yield "The mail server works."
    else:
        yield ""
        yield from _failure_lines(report.failure, words)


def _failure_lines(failure: ProbeFailure, words: Vocabulary) -> Iterator[str]:
    yield f"{click.style(failure.title, bold=True)} [{failure.code}]"
    yield f"{failure.stage}: {failure.explanation}"
    if failure.reply:
        yield f"The server replied: {failure.reply}"
    for number, step in enumerate(words.steps(failure), 1):
        yield f"{number}. {step}"
    for change in words.changes(failure):
        now = f" (now {change.current})" if change.current is not None else ""
        if change.suggested is None:
            yield f"-> look at {change.field}{now}"
        elif "\n" in str(change.suggested):
            yield f"-> set {change.field} to the certificate above, in PEM form (--show-pem prints it)"
        else:
            yield f"-> set {change.field} to {change.suggested}{now}"


def _stage_lines(stage: StageReport, *, show_pem: bool) -> Iterator[str]:
    seen = stage.observed
    mark = click.style(f"{_MARKS[stage.outcome]:<7}", fg=_COLOURS[stage.outcome])
    said = " ".join(filter(None, (seen.note, seen.mechanism, str(seen.reply or ""))))
    yield f"{stage.stage:<13}{mark}{stage.milliseconds:>6} ms  {said}".rstrip()
    yield from (f"{_INDENT}{line}" for line in _details(seen))
    if show_pem and seen.tls:
        yield from (certificate.pem.rstrip("\n") for certificate in seen.tls.chain)


def _details(seen: StageObservation) -> Iterator[str]:
    for attempt in seen.attempts:
        yield f"{attempt.address} {outcome_text(attempt)}, {attempt.milliseconds} ms"
    if seen.greeting and seen.greeting.extensions:
        yield f"offers {' '.join(seen.greeting.extensions)}"
    if seen.greeting and seen.greeting.mechanisms:
        yield f"logins {' '.join(seen.greeting.mechanisms)}"
    if seen.tls:
        yield from _encryption(seen.tls)


def _encryption(tls: TLSSession) -> Iterator[str]:
    yield f"{tls.version} {tls.cipher}"
    for certificate in tls.chain:
        yield from _certificate(certificate)


def _certificate(certificate: Certificate) -> Iterator[str]:
    left = certificate.days_left(datetime.now(UTC))
    names = f" for {', '.join(certificate.names)}" if certificate.names else ""
    yield f"certificate {certificate.subject}{names}"
    yield f"  issued by {certificate.issuer}, {left} days left"
    yield f"  SHA-256 {_with_colons(certificate.sha256)}"


def _with_colons(digest: str) -> str:
    """Return *digest* in the form of openssl and browsers, for comparison."""
    return ":".join(digest[start : start + 2] for start in range(0, len(digest), 2)).upper()
