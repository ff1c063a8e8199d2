"""The benchmark of the read path runs with Express and better-sqlite3 among the services."""

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from support.external_programs import TOOLS

ROOT = Path(__file__).parents[2]


@pytest.mark.needs("node", "better-sqlite3")
def test_reads_are_measured_next_to_express() -> None:
    command = [sys.executable, "benchmarks/read_path.py", "--database", "sqlite", "--rounds", "1"]
    ran = subprocess.run(
        [*command, "--seconds", "0.2", "--express", str(TOOLS / "node_modules")],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": "tests"},
        capture_output=True,
        text=True,
        check=False,
    )
    services = Counter(line.split(" | ")[1] for line in ran.stdout.splitlines()[2:])

    assert ran.returncode == 0, ran
    assert (services["Express"], services["naive"], services["this service"]) == (3, 4, 5)
