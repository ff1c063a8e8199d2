"""The page about the connection test: its tables are what the code and its tests say."""

import subprocess
import sys
from pathlib import Path

SCRIPTS = Path(__file__).parents[1] / "scripts"


def test_every_code_is_on_the_page_with_a_test() -> None:
    checked = subprocess.run(
        [sys.executable, SCRIPTS / "connection_test_page.py", "--check"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (checked.returncode, checked.stderr) == (0, "")


def test_matrix_of_mail_servers_is_what_make_real_holds() -> None:
    command = [sys.executable, str(SCRIPTS / "mail_server_matrix.py"), "--check"]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)

    assert (checked.returncode, checked.stderr) == (0, "")
