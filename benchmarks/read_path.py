"""How fast the mail server settings are read, beside bare frameworks that answer the same.

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
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PATH = "/api/20210901/system/mail/server"
CONNECTIONS = 16
MOST_DRIFT = 1.5
HERE = Path(__file__).parent


@dataclass(frozen=True)
class Round:
    """What one subject did in one round."""

    per_second: float
    p50: float
    p99: float


def main() -> None:
    """Start the subjects, check them, measure them in turns, print a table."""
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
                "(a) bare ASGI": stack.enter_context(_serving("bare_asgi:app", environment)),
                "(b) bare FastAPI": stack.enter_context(_serving("bare_fastapi:app", environment)),
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
    port = _free_port()
    command = [sys.executable, "-m", "mailsettings", "serve", "--port", str(port)]
    stack.enter_context(_process(command, port, environment))
    made = subprocess.run(
        [sys.executable, "-m", "mailsettings", "token", "--permission", "manage-system-settings"],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    token = made.stdout.strip()
    _put(port, token, "mail-server.com")
    return token, port


@contextlib.contextmanager
def _serving(target: str, environment: dict[str, str]) -> Iterator[int]:
    port = _free_port()
    uvicorn = [sys.executable, "-m", "uvicorn", target, "--app-dir", str(HERE), "--port", str(port)]
    with _process([*uvicorn, "--log-level", "warning", "--no-access-log"], port, environment):
        yield port


@contextlib.contextmanager
def _process(command: list[str], port: int, environment: dict[str, str]) -> Iterator[None]:
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    try:
        for _ in range(200):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.1):
                break
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait(20)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


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


def _request(method: str, token: str, body: bytes = b"") -> bytes:
    head = f"{method} {PATH} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n"
    if body:
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body


async def _answer(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
    return head, await reader.readexactly(int(length or 0))


def _exchange(port: int, request: bytes) -> bytes:
    async def exchange() -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request)
        head, body = await _answer(reader)
        writer.close()
        if not head.startswith(b"HTTP/1.1 200"):
            sys.exit(f"unexpected answer: {head.decode()}{body.decode()}")
        return body

    return asyncio.run(exchange())


def _put(port: int, token: str, host: str) -> None:
    _exchange(port, _request("PUT", token, _settings(host)))


def _require_fresh_reads(port: int, token: str, environment: dict[str, str]) -> None:
    """Change the settings through a second server process; the first one's very next answer must show it."""
    other = _free_port()
    command = [sys.executable, "-m", "mailsettings", "serve", "--port", str(other)]
    with _process(command, other, environment):
        for number in range(50):
            host = f"mail-{number}.example.org"
            _put(other, token, host)
            if json.loads(_exchange(port, _request("GET", token)))["host"] != host:
                sys.exit("a change by another process was not seen by the next read")
    _put(port, token, "mail-server.com")


def _measure(ports: dict[str, int], token: str, rounds: int, seconds: float) -> dict[str, list[Round]]:
    found: dict[str, list[Round]] = {name: [] for name in ports}
    request = _request("GET", token)
    for port in ports.values():
        asyncio.run(_load(port, request, 1))
    for number in range(rounds):
        names = list(ports) if number % 2 == 0 else list(ports)[::-1]
        for name in names:
            found[name].append(asyncio.run(_load(ports[name], request, seconds)))
    return found


async def _load(port: int, request: bytes, seconds: float) -> Round:
    end = time.perf_counter() + seconds
    times: list[float] = []

    async def ask() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while (begun := time.perf_counter()) < end:
            writer.write(request)
            head, _ = await _answer(reader)
            times.append(time.perf_counter() - begun)
            if not head.startswith(b"HTTP/1.1 200"):
                sys.exit(f"unexpected answer under load: {head.decode()}")
        writer.close()

    await asyncio.gather(*(ask() for _ in range(CONNECTIONS)))
    times.sort()
    return Round(len(times) / seconds, times[len(times) // 2] * 1000, times[int(len(times) * 0.99)] * 1000)


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
