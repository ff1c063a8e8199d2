"""Renew the tables in docs/connection-test.md: every code, its meaning, and the test that shows it.

python scripts/connection_test_page.py            write the tables
python scripts/connection_test_page.py --check    exit with 1 if they are out of date
"""

import os
import sys
from collections.abc import Iterable, Mapping
from contextlib import redirect_stdout
from pathlib import Path

import pytest

from mailsettings.domain.connection_test import FailureCode, WarningCode
from mailsettings.domain.findings import FAILURES, WARNINGS
from mailsettings.domain.findings.meaning import ANY_STAGE, Meaning

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "connection-test.md"
MARKS = ("<!-- codes -->", "<!-- /codes -->")


class Collected:
    """A pytest plugin that records which test shows which code, the first by name."""

    def __init__(self) -> None:
        self.tests: dict[str, str] = {}

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Record the codes of the collected tests."""
        for item in sorted(session.items, key=lambda item: item.nodeid):
            for mark in item.iter_markers("shows"):
                self.tests.setdefault(mark.args[0], item.nodeid.removeprefix("tests/"))


def main() -> None:
    """Write the tables, or compare them."""
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(MARKS[0])
    after = rest.partition(MARKS[1])[2]
    wanted = f"{before}{MARKS[0]}\n{_tables(_collected())}{MARKS[1]}{after}"
    if "--check" not in sys.argv:
        PAGE.write_text(wanted, encoding="utf-8")
    elif wanted != text:
        raise SystemExit("docs/connection-test.md is old: run `python scripts/connection_test_page.py`.")


def _collected() -> Mapping[str, str]:
    os.chdir(ROOT)
    collected = Collected()
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere, redirect_stdout(nowhere):
        status = pytest.main(
            ["--collect-only", "-q", "-p", "no:randomly", "tests/smtp", "tests/network"], [collected]
        )
    missing = [code for code in (*FailureCode, *WarningCode) if code not in collected.tests]
    if status or missing:
        raise SystemExit(f"no test shows {', '.join(missing)}" if missing else "the tests cannot be collected")
    return collected.tests


def _tables(tests: Mapping[str, str]) -> str:
    failures = [
        (f"`{code}`", _stages(FAILURES[code]), *_words(FAILURES[code]), f"`{tests[code]}`") for code in FailureCode
    ]
    warnings = [(f"`{code}`", _sentence(WARNINGS[code]), f"`{tests[code]}`") for code in WarningCode]
    return "\n".join(
        [
            "",
            *_table(("code", "stage", "meaning", "what to do", "shown by"), failures),
            "",
            "### Warnings",
            "",
            *_table(("code", "meaning", "shown by"), warnings),
            "",
            "",
        ]
    )


def _stages(meaning: Meaning) -> str:
    return "any" if meaning.stages == ANY_STAGE else ", ".join(meaning.stages)


def _words(meaning: Meaning) -> tuple[str, str]:
    return f"**{meaning.title}**: {meaning.explanation}", " ".join(map(str, meaning.steps))


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:]


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> list[str]:
    head = list(head)
    return [_row(head), _row("---" for _ in head), *map(_row, rows)]


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
