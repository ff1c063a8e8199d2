"""Measure reads and writes of the mail server settings with the defaults of the service, next to other services.

    PYTHONPATH=tests … read_path.py                              3 rounds of 1 second; some minutes
    PYTHONPATH=tests … read_path.py --rounds 9 --seconds 3
    PYTHONPATH=tests … read_path.py --database sqlite --express .real/node_modules

All servers have one worker (uvloop, httptools) and write their access log, if any, to a pipe that another process
reads: a bare ASGI application without a log; a bare FastAPI route with uvicorn's access log, to which all ratios
refer; the service of a user with FastAPI, PyJWT and SQLAlchemy's ORM (`naive_service.py`); with `--express` its
counterpart with Express and better-sqlite3; and this service with its defaults.

They take turns, in reversed order every other round, so that a slow moment of the machine hits all. Figures are
medians over the rounds, ratios the medians of the ratios within a round, with their range. The processor time is
that of the server's processes, without the database. Only ratios carry over to another machine.

Before anything is measured, a second process changes the settings, and the very next read of each kind must show
the change.
"""

import argparse
import asyncio
import contextlib
import json
import os
import re
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import jwt

from load import exchange, load, request, whole
from processor_time import processor_seconds
from servers import SERVE, Server, make_token, migrate, serving, uvicorn

from support.postgres import running_postgres

DEFAULT = "/api/20210901/system/mail/server"
SETTINGS = "/cxrestapi/auth/SMTPSettings"
SECRET = "a secret of thirty-two characters"
ASGI, FASTAPI, NAIVE, EXPRESS, OURS = "bare ASGI", "bare FastAPI with log", "naive", "Express", "this service"
CONNECTIONS = {"sqlite": (16,), "postgresql": (1, 16, 64)}
MOST_DRIFT = 1.5
_HOST = re.compile(rb'"host" ?: ?"([^"]*)"')


class Subject(NamedTuple):
    """A server and one request to it."""

    name: str
    what: str
    server: Server
    sent: bytes


class Measured(NamedTuple):
    """One round of a subject."""

    microseconds: float
    per_second: float


def main() -> None:
    """Measure each database with each number of connections, and print the rows of the table."""
    options = _options()
    print(
        "| database, connections | service | request | µs of processor | to bare FastAPI | requests / s, to it |"
    )
    print("|---|---|---|--:|--:|--:|")
    for database in [options.database] if options.database else CONNECTIONS:
        with contextlib.ExitStack() as stack:
            subjects = _subjects(stack, database, options.express)
            for connections in options.connections or CONNECTIONS[database]:
                rounds = _measure(subjects, options.rounds, options.seconds, connections)
                _print(f"{database}, {connections}", rounds)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure the read path.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1)
    parser.add_argument("--database", choices=list(CONNECTIONS))
    parser.add_argument("--connections", type=int, action="append")
    parser.add_argument("--express", type=Path, help="the folder of its packages; only on SQLite")
    return parser.parse_args()


def _subjects(stack: contextlib.ExitStack, database: str, express: Path | None) -> Sequence[Subject]:
    directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    environments = {name: _environment(directory, name) for name in ("ours", "naive")}
    if database == "postgresql":
        postgres = stack.enter_context(running_postgres())
        for name, environment in environments.items():
            postgres.execute(f"CREATE DATABASE {name}")
            environment["MAILSETTINGS_DATABASE_URL"] = postgres.url(name)
            environment["BENCHMARK_DATABASE_URL"] = postgres.url(name).replace("://", "+psycopg://")
    bare = stack.enter_context(serving(uvicorn("bare_asgi:app"), environments["naive"]))
    plain = stack.enter_context(serving(uvicorn("bare_fastapi:app", log=True), environments["naive"]))
    found = [Subject(ASGI, "GET", bare, request("GET", DEFAULT, ""))]
    found += [Subject(FASTAPI, "GET", plain, request("GET", DEFAULT, ""))]
    found += _foreign(stack.enter_context(serving(uvicorn("naive_service:app", log=True), environments["naive"])))
    if express is not None and database == "sqlite":
        environment = environments["naive"] | {"NODE_PATH": str(express.resolve())}
        command = ["node", str(Path(__file__).with_name("express_service.cjs"))]
        found += _foreign(stack.enter_context(serving(command, environment)), EXPRESS)
    return [*found, *_ours(stack, environments["ours"])]


def _environment(directory: Path, name: str) -> dict[str, str]:
    return {
        **os.environ,
        "MAILSETTINGS_DATA_DIR": str(directory / name),
        "MAILSETTINGS_ADMIN_PASSWORD": "correct horse",
        "MAILSETTINGS_MAX_CONCURRENT_REQUESTS_PER_CLIENT": "100",  # here, all connections are of one client
        "BENCHMARK_DATABASE_URL": f"sqlite+aiosqlite:///{directory}/{name}.db",
        "BENCHMARK_FILE": f"{directory}/express.db",
        "BENCHMARK_SECRET": SECRET,
    }


def _foreign(server: Server, name: str = NAIVE) -> Sequence[Subject]:
    token = jwt.encode({"sub": "admin"}, SECRET, "HS256")
    reads = {what: request("GET", path, token) for what, path in _paths(1).items()}
    subjects = [Subject(name, what, server, sent) for what, sent in reads.items()]
    if name == NAIVE:
        body = json.dumps({"host": "mail-server.com", "port": 25}).encode()
        subjects.append(Subject(name, "PUT", server, request("PUT", DEFAULT, token, body)))
    return subjects


def _paths(server_id: int) -> Mapping[str, str]:
    return {"GET default": DEFAULT, "GET by id": f"{SETTINGS}/{server_id}", "GET list of one": SETTINGS}


def _ours(stack: contextlib.ExitStack, environment: dict[str, str]) -> Sequence[Subject]:
    """Start this service, and require fresh reads."""
    migrate(environment)
    server = stack.enter_context(serving(SERVE, environment))
    token = make_token(environment)
    put = request("PUT", DEFAULT, token, _settings("mail-server.com"))
    exchange(server.port, put)
    (stored,) = json.loads(exchange(server.port, request("GET", SETTINGS, token)))
    reads = {what: request("GET", path, token) for what, path in _paths(stored["id"]).items()}
    _require_fresh_reads(server, token, environment, reads)
    exchange(server.port, put)
    reads["GET default, 304"] = _conditional(server, token)
    return [
        *(Subject(OURS, what, server, sent) for what, sent in reads.items()),
        Subject(OURS, "PUT", server, put),
    ]


def _conditional(server: Server, token: str) -> bytes:
    head, _ = whole(server.port, request("GET", DEFAULT, token))
    found = re.search(rb"(?i)\r\netag: (\S+)", head)
    assert found is not None
    sent = request("GET", DEFAULT, token, headers=f"If-None-Match: {found[1].decode()}\r\n")
    if not whole(server.port, sent)[0].startswith(b"HTTP/1.1 304"):
        sys.exit("an unchanged answer was sent again")
    return sent


def _settings(host: str) -> bytes:
    return json.dumps(
        {
            "host": host,
            "port": 25,
            "sender": {"displayName": "John Smith", "emailAddress": "john.smith@myorg.com"},
            "auth": {"authType": "NO_AUTH"},
            "connectionSecurity": {"connectionSecurityType": "NO_CONNECTION_SECURITY"},
        }
    ).encode()


def _require_fresh_reads(
    server: Server, token: str, environment: dict[str, str], reads: Mapping[str, bytes]
) -> None:
    """Change the settings through a second process; the very next answer of the first process must show it.

    The conditional read has the tag from before the change.
    """
    with serving(SERVE, environment) as other:
        for number in range(50):
            for what, sent in [*reads.items(), ("GET default, 304", _conditional(server, token))]:
                host = f"mail-{number}-{len(what)}.example.org"
                exchange(other.port, request("PUT", DEFAULT, token, _settings(host)))
                if _HOST.findall(exchange(server.port, sent)) != [host.encode()]:
                    sys.exit(f"{what}: a change by another process was not seen by the next read")


def _measure(
    subjects: Sequence[Subject], rounds: int, seconds: float, connections: int
) -> Mapping[Subject, Sequence[Measured]]:
    found: dict[Subject, list[Measured]] = {subject: [] for subject in subjects}
    for subject in subjects:
        asyncio.run(load(subject.server.port, subject.sent, min(seconds, 0.5), connections))
    for number in range(rounds):
        for subject in subjects if number % 2 == 0 else reversed(subjects):
            before = processor_seconds(subject.server.process)
            measured = asyncio.run(load(subject.server.port, subject.sent, seconds, connections))
            used = processor_seconds(subject.server.process) - before
            found[subject].append(Measured(used / measured.requests * 1e6, measured.per_second))
    return found


def _print(where: str, rounds: Mapping[Subject, Sequence[Measured]]) -> None:
    (base,) = (measured for subject, measured in rounds.items() if subject.name == FASTAPI)
    for subject, measured in rounds.items():
        microseconds = statistics.median(each.microseconds for each in measured)
        processor = [one.microseconds / each.microseconds for one, each in zip(base, measured, strict=True)]
        wall = [each.per_second / one.per_second for one, each in zip(base, measured, strict=True)]
        speed = f"{statistics.median(each.per_second for each in measured):.0f}, {statistics.median(wall):.2f}"
        ratio = f"{statistics.median(processor):.2f} ({min(processor):.2f}-{max(processor):.2f})"
        print(
            f"| {where} | {subject.name} | {subject.what} | {microseconds:.0f} | {ratio} | {speed} |", flush=True
        )
    drift = max(each.per_second for each in base) / min(each.per_second for each in base)
    busy = "; the machine was too busy, measure again" if drift > MOST_DRIFT else ""
    print(f"{where}: the drift of {FASTAPI} was {drift:.2f}{busy}.", file=sys.stderr)


if __name__ == "__main__":
    main()
