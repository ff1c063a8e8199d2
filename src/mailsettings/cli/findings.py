"""What `doctor` prints: a line for each thing that it looked at, with what to do where it is wrong."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

import click

from mailsettings.cli.output import Column, is_for_people, print_items, printable


class State(StrEnum):
    """Whether a thing is as it should be."""

    GOOD = "ok"
    NOTE = "note"
    """It works, and an administrator should know."""
    WRONG = "wrong"


_COLOURS = {State.GOOD: "green", State.NOTE: "yellow", State.WRONG: "red"}
COLUMNS = [Column("check"), Column("state"), Column("found"), Column("advice")]


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found, and what to do."""

    check: str
    state: State
    found: str
    advice: str | None = None


def good(check: str, found: str) -> Finding:
    """Return that all is well."""
    return Finding(check, State.GOOD, found)


def wrong(check: str, found: str, advice: str | None = None) -> Finding:
    """Return what is wrong, and what to do unless *found* says it."""
    return Finding(check, State.WRONG, found, advice)


def print_findings(findings: Iterable[Finding]) -> bool:
    """Print each finding as it comes; return whether nothing is wrong."""
    seen = []
    for finding in findings:
        seen.append(finding)
        if is_for_people():
            mark = click.style(f"{finding.state:<6}", fg=_COLOURS[finding.state])
            advice = f" {finding.advice}" if finding.advice else ""
            click.echo(f"{mark}{finding.check:<12}{printable(finding.found + advice)}")
    if not is_for_people():
        members = [
            {"check": each.check, "state": str(each.state), "found": each.found, "advice": each.advice}
            for each in seen
        ]
        print_items([members], COLUMNS)
    return all(finding.state is not State.WRONG for finding in seen)
