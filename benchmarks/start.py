"""Measure how much processor time commands take to start, next to Python itself and `import click`.

    … start.py [--rounds 11]

The commands take turns, in reversed order every other round, and it prints medians of user and system time of the
whole process. The command at a service calls a port on which no program listens; the command on this machine reads
a new database. Compare with the first two lines: seconds depend on the machine.
"""

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from support.processes import clean_environment

FAR = ["--url", "http://127.0.0.1:1", "server", "list"]
PROGRAM = ["-m", "mailsettings"]
COMMANDS: Mapping[str, Sequence[str]] = {
    "python -c pass": ["-c", "pass"],
    "python -c 'import click'": ["-c", "import click"],
    "mailsettings --help": [*PROGRAM, "--help"],
    "mailsettings server list --help": [*PROGRAM, "server", "list", "--help"],
    "mailsettings --url … server list": [*PROGRAM, *FAR],
    "mailsettings server list": [*PROGRAM, "server", "list"],
}


def main() -> None:
    """Run each command in turn and print the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=11)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        environment = clean_environment(Path(folder) / "data") | {"MAILSETTINGS_TOKEN": "a-token"}
        subprocess.run([sys.executable, *PROGRAM, "migrate"], env=environment, check=True)
        measured: dict[str, list[float]] = {name: [] for name in COMMANDS}
        for number in range(rounds):
            for name in sorted(COMMANDS, key=list(COMMANDS).index, reverse=number % 2 == 1):
                measured[name].append(processor_seconds(COMMANDS[name], environment))
    for name, seconds in measured.items():
        print(f"{name:<34}{statistics.median(seconds):6.2f} s")


def processor_seconds(arguments: Sequence[str], environment: Mapping[str, str]) -> float:
    """Return the user and system time of one process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()
