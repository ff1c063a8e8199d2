"""Write the report at the top of README.md: what the product prints for `make catch-all` and a wrong security."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
_COMMAND = re.compile(r"^    \$ mailsettings (probe .+)\n((?:    .*\n|\n)*?)(?=\n?^[^ \n])", re.MULTILINE)


def report(port: int) -> str:
    """Return what the command of the README prints against the catch-all server on *port*."""
    return _printed(_block()[1].replace("1025", str(port)))


def shown() -> str:
    """Return the report in the README."""
    return "".join(line.removeprefix("    ") for line in _block()[2].splitlines(keepends=True))


def _block() -> re.Match[str]:
    found = _COMMAND.search(README.read_text())
    if found is None:
        sys.exit("README.md does not show a command `$ mailsettings probe …` with its report.")
    return found


def _printed(command: str) -> str:
    environment = os.environ | {"MAILSETTINGS_DEV": "true"}
    words = [sys.executable, "-m", "mailsettings", *command.split()]
    return subprocess.run(words, env=environment, capture_output=True, text=True, check=False).stdout


def main() -> None:
    """Run the command while `make catch-all` runs, and put what it prints into the README."""
    lines = "".join(f"    {line}".rstrip() + "\n" for line in report(1025).splitlines())
    README.write_text(_COMMAND.sub(lambda found: f"    $ mailsettings {found[1]}\n{lines}", README.read_text()))


if __name__ == "__main__":
    main()
