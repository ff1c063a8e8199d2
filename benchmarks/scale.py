"""Measure reads, writes and connection tests with more processes and more stored settings.

    PYTHONPATH=tests … scale.py                                    everything, 3 rounds of 2 seconds
    PYTHONPATH=tests … scale.py --part throughput --database sqlite --rounds 5 --seconds 5
    PYTHONPATH=tests … scale.py --part list --rows 20000           what `long_list.py` measures

Five servers, each over a database of its own: 1, 2 and 4 workers with 10 settings, then 1 worker with 1,000 and
with 100,000. They take turns, in reversed order every other round; the figures are the medians of the ratios to
the first within a round, and their range. The client takes its share of the same cores, so that on two of them
more workers than one cannot do twice as much.

Ends with 1 if a list passes one of its bounds, or if more settings halve anything while the first server stays
what it is: where that one varies more than 1.5 times from round to round, the machine has too much else to do.
"""

import argparse
import asyncio
import contextlib
import json
import statistics
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import long_list
from load import CONNECTIONS, load, request
from servers import SERVE, make_token, serving
from smtp_sink import smtp_sink
from stores import NewDatabase, stores

SETTINGS = "/cxrestapi/auth/SMTPSettings"
DEFAULT = "/api/20210901/system/mail/server"
LEAST_RATIO = 0.5
MOST_DRIFT = 1.5


class Shape(NamedTuple):
    """The difference between a subject and the first subject."""

    workers: int
    rows: int

    def __str__(self) -> str:
        return f"{self.workers} x {self.rows:,}"


FIRST = Shape(1, 10)
SHAPES = (FIRST, Shape(2, 10), Shape(4, 10), Shape(1, 1_000), Shape(1, 100_000))
Measured = Mapping[str, Mapping[Shape, Sequence[float]]]
"""Return the operations per second of each round, by operation and shape."""


def main() -> None:
    """Measure the chosen parts, print, and exit with 1 if a limit is exceeded."""
    options = _options()
    missed = []
    for database in [options.database] if options.database else long_list.DATABASES:
        if options.part != "list":
            missed += _throughput(database, options.rounds, options.seconds)
        if options.part != "throughput":
            missed += long_list.measure(database, options.rows, options.rounds)
    raise SystemExit(f"missed: {', '.join(missed)}" if missed else 0)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure how the service grows.")
    parser.add_argument("--part", choices=["throughput", "list"])
    parser.add_argument("--database", choices=long_list.DATABASES)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--rows", type=int, default=100_000, help="of the list")
    return parser.parse_args()


def _throughput(database: str, rounds: int, seconds: float) -> list[str]:
    with contextlib.ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        new = stack.enter_context(stores(database, directory))
        mail_port = stack.enter_context(smtp_sink())
        subjects = {shape: _start(stack, new, shape, mail_port) for shape in SHAPES}
        measured = _measure(subjects, rounds, seconds)
    return _print(database, measured)


class Subject(NamedTuple):
    """A server and its requests."""

    port: int
    requests: Mapping[str, bytes]


def _start(stack: contextlib.ExitStack, new: NewDatabase, shape: Shape, mail_port: int) -> Subject:
    environment = new(shape.rows)
    token = make_token(environment)
    server = stack.enter_context(serving([*SERVE, "--workers", str(shape.workers)], environment))
    one = f"{SETTINGS}/{shape.rows // 2}"
    requests = {
        "GET one": request("GET", one, token),
        "GET default": request("GET", DEFAULT, token),
        "PUT one": request("PUT", one, token, _settings(25)),
        "test": request("POST", f"{SETTINGS}/testconnection", token, _settings(mail_port)),
    }
    return Subject(server.port, requests)


def _settings(port: int) -> bytes:
    return json.dumps(
        {
            "host": "127.0.0.1",
            "port": port,
            "encryptionType": "None",
            "fromAddress": "scans@example.org",
            "recieverEmail": "receiver@example.org",
        }
    ).encode()


def _measure(subjects: Mapping[Shape, Subject], rounds: int, seconds: float) -> Measured:
    found: dict[str, dict[Shape, list[float]]] = {}
    for operation in subjects[FIRST].requests:
        found[operation] = {shape: [] for shape in subjects}
        for subject in subjects.values():
            asyncio.run(load(subject.port, subject.requests[operation], min(1, seconds)))
        for number in range(rounds):
            for shape in list(subjects) if number % 2 == 0 else list(subjects)[::-1]:
                subject = subjects[shape]
                measured = asyncio.run(load(subject.port, subject.requests[operation], seconds))
                found[operation][shape].append(measured.per_second)
    return found


def _print(database: str, measured: Measured) -> list[str]:
    missed = []
    print(f"\n{database}, {CONNECTIONS} connections: per second, as a ratio to {FIRST} (workers x settings)")
    print(f"{'':14}" + "".join(f"{shape!s:>20}" for shape in SHAPES))
    for operation, rounds in measured.items():
        drift = max(rounds[FIRST]) / min(rounds[FIRST])
        print(f"{operation:14}", end="")
        for shape in SHAPES:
            ratios = [one / first for one, first in zip(rounds[shape], rounds[FIRST], strict=True)]
            print(f"{statistics.median(ratios):>10.2f} {min(ratios):.2f}-{max(ratios):.2f}", end="")
            if shape.rows > FIRST.rows and statistics.median(ratios) < LEAST_RATIO and drift < MOST_DRIFT:
                missed.append(f"{operation} with {shape.rows:,} settings, {database}")
        busy = f", varied {drift:.1f} times: busy machine" if drift > MOST_DRIFT else ""
        print(f"   ({statistics.median(rounds[FIRST]):.0f} per second{busy})")
    return missed


if __name__ == "__main__":
    main()
