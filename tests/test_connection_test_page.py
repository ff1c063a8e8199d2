"""The page about the connection test: its tables are what the code and its tests say."""

import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[1] / "scripts" / "connection_test_page.py"


def test_every_code_is_on_the_page_with_a_test_that_shows_it() -> None:
    checked = subprocess.run([sys.executable, SCRIPT, "--check"], capture_output=True, text=True, check=False)

    assert (checked.returncode, checked.stderr) == (0, "")
