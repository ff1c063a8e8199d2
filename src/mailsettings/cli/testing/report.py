"""Print the JSON of a connection test as text: a line for each stage as it ends, the failure, and what to do."""

import io
import sys
from collections.abc import Iterator
from typing import Any

import click

from mailsettings.cli.output import Item, printable

_MARKS = {"passed": "ok", "failed": "FAILED", "skipped": "-", "unknown": "?"}
_COLOURS = {"passed": "green", "failed": "red", "skipped": None, "unknown": "yellow"}
_INDENT = " " * 14

recipient_option = click.option(
    "--to", "recipient", metavar="ADDRESS", help="Send the test mail to this address; without it, no mail is sent."
)
json_option = click.option("--json", "as_json", is_flag=True, help="The same as -o json.")
pem_option = click.option("--show-pem", is_flag=True, help="Also print the server's certificates in PEM format.")


class ReportPrinter:
    """Prints a report for people: each stage as it ends, then the rest."""

    def __init__(self, *, show_pem: bool) -> None:
        self._show_pem = show_pem
        self._printed = 0
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="replace")  # a terminal's encoding may lack characters of replies

    def print_stage(self, stage: Item) -> None:
        """Print *stage*; click omits the colours if the output is not a terminal."""
        self._printed += 1
        click.echo("\n".join(_stage_lines(stage, show_pem=self._show_pem)))

    def print_rest(self, report: Item) -> None:
        """Print the rest of *report* after the stages that `print_stage` has printed."""
        for stage in report["stages"][self._printed :]:
            self.print_stage(stage)
        click.echo("\n".join(_outcome_lines(report)))


def render(report: Item) -> str:
    """Return the whole report without a final line feed."""
    lines = [line for stage in report["stages"] for line in _stage_lines(stage, show_pem=False)]
    return "\n".join([*lines, *_outcome_lines(report)])


def _outcome_lines(report: Item) -> Iterator[str]:
    for warning in report["warnings"]:
        yield f"{click.style('warning', fg='yellow')}: {printable(warning['explanation'])}"
    if report.get("failure") is None:
        yield "The mail server works."
    else:
        yield ""
        yield from _failure_lines(report["failure"])


def _failure_lines(failure: Item) -> Iterator[str]:
    yield f"{click.style(printable(failure['title']), bold=True)} [{printable(failure['code'])}]"
    yield printable(f"{failure['stage']}: {failure['explanation']}")
    if failure.get("reply"):
        yield printable(f"The server replied: {_reply(failure['reply'])}")
    for number, step in enumerate(failure["steps"], 1):
        yield printable(f"{number}. {step}")
    yield from (_change(change) for change in failure["changes"])


def _change(change: Item) -> str:
    suggested = change.get("suggested")
    now = f" (now {change['current']})" if change.get("current") is not None else ""
    if suggested is None:
        return printable(f"-> look at {change['field']}{now}")
    if "\n" in str(suggested):
        return f"-> set {change['field']} to the certificate above, in PEM form (--show-pem prints it)"
    return printable(f"-> set {change['field']} to {suggested}{now}")


def _stage_lines(stage: Item, *, show_pem: bool) -> Iterator[str]:
    outcome = stage["outcome"]
    mark = click.style(f"{_MARKS[outcome]:<7}", fg=_COLOURS[outcome])
    said = " ".join(filter(None, (stage.get("note"), stage.get("mechanism"), _reply(stage.get("reply")))))
    yield f"{printable(stage['stage']):<13}{mark}{stage['milliseconds']:>6} ms  {printable(said)}".rstrip()
    yield from (f"{_INDENT}{printable(line)}" for line in _details(stage))
    if show_pem and stage.get("tls"):
        yield from (printable(certificate["pem"].rstrip("\n"), keep="\n") for certificate in stage["tls"]["chain"])


def _details(stage: Item) -> Iterator[str]:
    for attempt in stage.get("addresses") or ():
        said = attempt.get("problem") or attempt["outcome"].replace("_", " ")
        yield f"{attempt['address']} {said}, {attempt['milliseconds']} ms"
    greeting: Any = stage.get("greeting") or {}
    if greeting.get("extensions"):
        yield f"offers {' '.join(greeting['extensions'])}"
    if greeting.get("mechanisms"):
        yield f"logins {' '.join(greeting['mechanisms'])}"
    if stage.get("tls"):
        yield from _encryption(stage["tls"])


def _encryption(tls: Item) -> Iterator[str]:
    yield f"{tls['version']} {tls['cipher']}"
    for certificate in tls["chain"]:
        names = f" for {', '.join(certificate['names'])}" if certificate["names"] else ""
        yield f"certificate {certificate['subject']}{names}"
        yield f"  issued by {certificate['issuer']}, {certificate['days_left']} days left"
        yield f"  SHA-256 {_with_colons(certificate['sha256'])}"


def _reply(reply: Item | None) -> str:
    if not reply:
        return ""
    return " ".join(filter(None, (str(reply["code"]), reply.get("enhanced_code"), reply["text"])))


def _with_colons(digest: str) -> str:
    """Return *digest* in the form of openssl and browsers, for comparison."""
    return ":".join(digest[start : start + 2] for start in range(0, len(digest), 2)).upper()
