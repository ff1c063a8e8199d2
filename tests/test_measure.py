"""The script that measures the structure of the code runs on this checkout, and counts what it says."""

import subprocess
from pathlib import Path

from support import commands

ROOT = Path(__file__).parents[1]


def test_the_measured_figures_are_those_of_this_code() -> None:
    script = ROOT / "scripts" / "measure.py"
    printed = subprocess.run([commands.python(), str(script)], capture_output=True, text=True, check=True).stdout
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in printed.splitlines()]
    figures = dict(rows)
    put, test = map(int, figures["files of an Oracle PUT / testconnection"].split(" / "))

    assert int(figures["modules"]) == len(list((ROOT / "src").rglob("*.py")))
    assert 0 < int(figures["files of a token check"]) < put < test
    assert int(figures["statements of an Oracle PUT"]) > 0
