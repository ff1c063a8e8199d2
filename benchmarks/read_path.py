"""Measure reads of the mail server settings, compared with bare frameworks that answer the same.

    … read_path.py                   5 rounds of 3 seconds
    … read_path.py --rounds 9 --seconds 5

Three servers, each one uvicorn worker (uvloop, httptools) of its own, answer the same JSON:
(a) a bare ASGI application with a constant; (b) a bare FastAPI route that returns the model;
(ours) `GET /api/20210901/system/mail/server` with a signed token checked and the settings in SQLite.
They take turns, in reversed order every other round, so that a slow moment of the machine hits all; the
figures are medians over the rounds, the ratios medians of the ratios within a round. Only ratios carry over.

Before anything is measured a second process changes the settings, and the very next read must show it.
"""

import argparse
import asyncio
import contextlib
import json
import os
import statistics
import sys
import tempfile

from load import Round, exchange, load, request
from servers import SERVE, make_token, serving, uvicorn

PATH = "/api/20210901/system/mail/server"
MOST_DRIFT = 1.5


def main() -> None:
    """Start the subjects, check them, measure them in turns, and print a table."""
    options = _options()
    with tempfile.TemporaryDirectory() as directory:
        environment = {
            **os.environ,
            "MAILSETTINGS_DATA_DIR": directory,
            "MAILSETTINGS_ADMIN_PASSWORD": "correct horse",
            "MAILSETTINGS_LOG_LEVEL": "warning",
        }
        with contextlib.ExitStack() as stack:
            token, ours = _start_ours(stack, environment)
            ports = {
                "(a) bare ASGI": stack.enter_context(serving(uvicorn("bare_asgi:app"), environment)).port,
                "(b) bare FastAPI": stack.enter_context(serving(uvicorn("bare_fastapi:app"), environment)).port,
                "ours": ours,
            }
            _require_fresh_reads(ours, token, environment)
            rounds = _measure(ports, token, options.rounds, options.seconds)
    _print(rounds)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure the read path.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3)
    return parser.parse_args()


def _start_ours(stack: contextlib.ExitStack, environment: dict[str, str]) -> tuple[str, int]:
    port = stack.enter_context(serving(SERVE, environment)).port
    token = make_token(environment)
    _put(port, token, "mail-server.com")
    return token, port


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


def _put(port: int, token: str, host: str) -> None:
    exchange(port, request("PUT", PATH, token, _settings(host)))


def _require_fresh_reads(port: int, token: str, environment: dict[str, str]) -> None:
    """Change the settings through a second server process; the first one's very next answer must show it."""
    with serving(SERVE, environment) as other:
        for number in range(50):
            host = f"mail-{number}.example.org"
            _put(other.port, token, host)
            if json.loads(exchange(port, request("GET", PATH, token)))["host"] != host:
                sys.exit("a change by another process was not seen by the next read")
    _put(port, token, "mail-server.com")


def _measure(ports: dict[str, int], token: str, rounds: int, seconds: float) -> dict[str, list[Round]]:
    found: dict[str, list[Round]] = {name: [] for name in ports}
    reading = request("GET", PATH, token)
    for port in ports.values():
        asyncio.run(load(port, reading, 1))
    for number in range(rounds):
        names = list(ports) if number % 2 == 0 else list(ports)[::-1]
        for name in names:
            found[name].append(asyncio.run(load(ports[name], reading, seconds)))
    return found


def _print(rounds: dict[str, list[Round]]) -> None:
    bare = [measured.per_second for measured in rounds["(a) bare ASGI"]]
    if max(bare) > MOST_DRIFT * min(bare):
        print(f"The machine was too busy: (a) varied {max(bare) / min(bare):.2f} times. Measure again.")
    print(f"{'':18}{'per second':>12}{'p50 ms':>9}{'p99 ms':>9}{'to (a)':>9}{'to (b)':>9}   range to (b)")
    for name, measured in rounds.items():
        to_a, to_b = (_ratios(measured, rounds[base]) for base in ("(a) bare ASGI", "(b) bare FastAPI"))
        medians = (
            statistics.median(getattr(each, field) for each in measured) for field in ("per_second", "p50", "p99")
        )
        speed, p50, p99 = medians
        print(
            f"{name:18}{speed:>12.0f}{p50:>9.2f}{p99:>9.2f}{statistics.median(to_a):>9.2f}"
            f"{statistics.median(to_b):>9.2f}   {min(to_b):.2f}-{max(to_b):.2f}"
        )


def _ratios(measured: list[Round], base: list[Round]) -> list[float]:
    return [one.per_second / other.per_second for one, other in zip(measured, base, strict=True)]


if __name__ == "__main__":
    main()
