"""Skip by name what needs a program that is missing, and list at the end which are and how to get them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.external_programs import missing, program
from support.peers import Peers, running_peers


@pytest.fixture
def peers(tmp_path: Path) -> Iterator[Peers]:
    with running_peers(tmp_path) as running:
        yield running


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test that is marked with a program that is missing."""
    for mark in item.iter_markers("needs"):
        for name in mark.args:
            program(name)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """List the missing programs."""
    lines = missing()
    if lines:
        terminalreporter.section("missing programs: their tests did not run")
    for line in lines:
        terminalreporter.write_line(line)
