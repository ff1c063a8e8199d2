"""Measure the effect of a thousand hanging connection tests on reads and on memory.

    … probe_concurrency.py [--tests 1000] [--reads 1000]

It runs one worker of the service, a mail server that accepts connections and stays silent, and tests without
TLS and with implicit TLS. It prints the times of reads before the tests, while they arrive and while they hang,
relative to before, and the growth of the process for each test, including its HTTP connection.
"""

import argparse
import asyncio
import contextlib
import json
import os
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

SETTINGS = "/cxrestapi/auth/SMTPSettings"
MOST_RATIO = 3.0
MOST_RATIO_ARRIVING = 5.0
MOST_KILOBYTES = 100.0
ARRIVING_SECONDS = 8.0
HEAD_START_SECONDS = 1.0
"""For the reader to start, so that it reads before the first test arrives."""
DEADLINE_SECONDS = 60
ADDRESSES = 100


@dataclass(frozen=True)
class Service:
    """The running service."""

    port: int
    process_id: int
    token: str

    def kilobytes(self) -> float:
        """Return its resident memory."""
        pages = int(Path(f"/proc/{self.process_id}/statm").read_text().split()[1])
        return pages * resource.getpagesize() / 1024


def main() -> None:
    """Measure both kinds, print, and exit with 1 if a limit is exceeded."""
    options = _options()
    if options.reader:
        print(json.dumps(asyncio.run(_read(*json.loads(options.reader)))))
        return
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    missed = []
    for encryption in [options.encryption] if options.encryption else ["None", "Ssl"]:
        with contextlib.ExitStack() as stack:
            silent = stack.enter_context(_silent_server())
            service = stack.enter_context(_service(options.tests))
            missed += asyncio.run(_measure(service, silent, encryption, options.tests, options.reads))
    raise SystemExit(f"missed: {', '.join(missed)}" if missed else 0)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure reads while tests hang.")
    parser.add_argument("--tests", type=int, default=1000)
    parser.add_argument("--reads", type=int, default=1000)
    parser.add_argument("--encryption", choices=["None", "Ssl"])
    parser.add_argument("--reader", help=argparse.SUPPRESS)
    return parser.parse_args()


async def _measure(service: Service, silent: int, encryption: str, tests: int, reads: int) -> list[str]:
    await _reads(service, reads)
    before = await _reads(service, reads)
    small = service.kilobytes()
    reading = asyncio.create_task(_reads(service, reads, for_seconds=ARRIVING_SECONDS))
    await asyncio.sleep(HEAD_START_SECONDS)
    hanging = [asyncio.create_task(_test(service, silent, encryption, number)) for number in range(tests)]
    arriving = await reading
    pending = await _reads(service, reads)
    each = (service.kilobytes() - small) / tests
    over = [task.result() for task in hanging if task.done()]
    for task in hanging:
        task.cancel()
    await asyncio.gather(*hanging, return_exceptions=True)
    if over:
        raise SystemExit(f"{len(over)} tests did not hang: {over[0]!r}")
    print(f"\n{tests} tests hang, encryption {encryption}")
    _print({"before": before, "while they arrive": arriving, "while they hang": pending}, before)
    print(f"  memory for each test {each:.0f} kB")
    missed = [f"p99 with {encryption}"] if _p99(pending) > MOST_RATIO * _p99(before) else []
    missed += [f"p99 at arrival with {encryption}"] if _p99(arriving) > MOST_RATIO_ARRIVING * _p99(before) else []
    return [*missed, f"memory with {encryption}"] if each > MOST_KILOBYTES else missed


async def _reads(service: Service, reads: int, for_seconds: float = 0) -> Sequence[float]:
    """Return the milliseconds of at least *reads* sequential reads, sent by a process that does nothing else."""
    command = [sys.executable, __file__, "--reader", json.dumps([service.port, service.token, reads, for_seconds])]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    took: list[float] = json.loads(await process.stdout.read())
    if await process.wait():
        raise SystemExit("a read failed")
    return took


async def _read(port: int, token: str, reads: int, for_seconds: float) -> Sequence[float]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    request = f"GET {SETTINGS} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
    took: list[float] = []
    end = time.perf_counter() + for_seconds
    while len(took) < reads or time.perf_counter() < end:
        begun = time.perf_counter()
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise SystemExit(f"a read was answered with {head[:40]!r}")
        length = next(line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length"))
        await reader.readexactly(int(length.split(b":")[1]))
        took.append((time.perf_counter() - begun) * 1000)
        await asyncio.sleep(0.001)
    writer.close()
    return took


async def _test(service: Service, silent: int, encryption: str, number: int) -> bytes:
    """Send one test until the service accepts it, and return the answer, which does not come soon."""
    address = f"127.0.1.{1 + number % ADDRESSES}"  # a single client may not have so many connections
    body = json.dumps(
        {"host": "127.0.0.1", "port": silent, "encryptionType": encryption, "fromAddress": "a@example.org"}
    )
    head = f"POST {SETTINGS}/testconnection HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {service.token}\r\n"
    request = f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
    while True:
        reader, writer = await asyncio.open_connection("127.0.0.1", service.port, local_addr=(address, 0))
        try:
            writer.write(request)
            answer = await reader.read(400)
        finally:
            writer.close()
        if b"retry-after: 1\r\n" not in answer.lower():
            return answer
        await asyncio.sleep(1)  # too many requests with an unchecked token at the same moment


def _print(reads: Mapping[str, Sequence[float]], before: Sequence[float]) -> None:
    for name, took in reads.items():
        times = _p99(took) / _p99(before)
        print(f"  reads {name:<18} p50 {statistics.median(took):7.2f} ms", end="")
        print(f"  p99 {_p99(took):7.2f} ms  {times:5.2f} times")


def _p99(took: Sequence[float]) -> float:
    return statistics.quantiles(took, n=100)[98]


@contextlib.contextmanager
def _service(tests: int) -> Iterator[Service]:
    port = _free_port()
    with tempfile.TemporaryDirectory() as directory:
        environment = os.environ | {
            "MAILSETTINGS_DATA_DIR": directory,
            "MAILSETTINGS_ADMIN_PASSWORD": "correct horse",
            "MAILSETTINGS_LOG_LEVEL": "warning",
            "MAILSETTINGS_DEV": "true",
            "MAILSETTINGS_SMTP_TEST_TIMEOUT_SECONDS": str(DEADLINE_SECONDS),
            "MAILSETTINGS_MAX_CONCURRENT_REQUESTS_PER_CLIENT": str(tests + 1),
            "MAILSETTINGS_SMTP_MAX_CONCURRENT_TESTS": str(tests),
            "MAILSETTINGS_SMTP_MAX_CONCURRENT_TESTS_PER_CLIENT": str(tests),
            "MAILSETTINGS_SMTP_MAX_TESTS_PER_MINUTE_PER_CLIENT": str(tests),
        }
        command = [sys.executable, "-m", "mailsettings"]
        process = subprocess.Popen(
            [*command, "serve", "--port", str(port)], env=environment, stdout=subprocess.DEVNULL
        )
        try:
            _wait_for(port)
            made = subprocess.run(
                [*command, "token", "--permission", "manage-system-settings"],
                env=environment,
                check=True,
                capture_output=True,
                text=True,
            )
            yield Service(port, process.pid, made.stdout.strip())
        finally:
            process.kill()
            process.wait()


@contextlib.contextmanager
def _silent_server() -> Iterator[int]:
    """Accept all connections and stay silent, in a separate process with its own sockets."""
    program = (
        "import resource, socket\n"
        "most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))\n"
        "listening = socket.create_server(('127.0.0.1', 0), backlog=4096)\n"
        "print(listening.getsockname()[1], flush=True)\n"
        "kept = []\n"
        "while True:\n"
        "    kept.append(listening.accept())\n"
    )
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield int(process.stdout.readline())
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def _wait_for(port: int) -> None:
    for _ in range(300):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.1)
    raise SystemExit("the service did not start")


if __name__ == "__main__":
    main()
