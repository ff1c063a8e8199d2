"""Measure a list of all settings, compared with an ORM and a response model (`orm_list.py`).

    PYTHONPATH=tests … long_list.py                        100,000 settings, 5 rounds, both databases
    PYTHONPATH=tests … long_list.py --rows 20000 --rounds 3 --database sqlite

Both are one process over the same database and take turns, in reversed order every other round; the ratios are
those of the times, and of the processor times of the two processes, within a round. Then once more each, with a
second client that asks for `/health/live` or, of the ORM, for `/openapi.json` all the while: the longest that it
waits is how long the server did nothing else. Growth is the highest resident memory during the first list above
that before it. Only ratios carry over.

Ends with 1 if the growth is above 10 MB, or the time above 0.15 of the ORM's; that counts only where neither
took more than 1.5 times as long in one round as in another, which means that the machine has too much else to do.
"""

import argparse
import asyncio
import contextlib
import os
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from load import request
from servers import SERVE, Server, make_token, serving, uvicorn
from stores import stores

PATH = "/cxrestapi/auth/SMTPSettings"
MOST_RATIO = 0.15
MOST_MEGABYTES = 10.0
MOST_DRIFT = 1.5
DATABASES = ("sqlite", "postgresql")


@dataclass(frozen=True)
class Listing:
    """The measurements of a list: seconds to its first and last byte, processor seconds, length in bytes."""

    first: float
    last: float
    length: int
    processor: float = 0.0


@dataclass(frozen=True)
class Subject:
    """A server, the request for its list, and a small request."""

    server: Server
    listing: bytes
    small: bytes

    def megabytes(self, name: str) -> float:
        """`VmRSS` is its memory now, `VmHWM` the highest since it was last forgotten."""
        lines = Path(f"/proc/{self.server.process}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(name)) / 1024

    def processor_seconds(self) -> float:
        """What it has used, by itself and by the system for it."""
        fields = Path(f"/proc/{self.server.process}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def forget_highest(self) -> None:
        """See proc(5)."""
        Path(f"/proc/{self.server.process}/clear_refs").write_text("5")


def main() -> None:
    """Measure, print, and exit with 1 if a limit is exceeded."""
    options = _options()
    missed = []
    for database in [options.database] if options.database else DATABASES:
        missed += measure(database, options.rows, options.rounds)
    raise SystemExit(f"missed: {', '.join(missed)}" if missed else 0)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure one long list.")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--database", choices=DATABASES)
    return parser.parse_args()


def measure(database: str, rows: int, rounds: int) -> list[str]:
    """Return the exceeded limits on *database*."""
    with contextlib.ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        environment = stack.enter_context(stores(database, directory))(rows)
        environment["BENCHMARK_DATABASE_URL"] = environment["MAILSETTINGS_DATABASE_URL"]
        token = make_token(environment)
        subjects = {
            "ours": Subject(
                stack.enter_context(serving(SERVE, environment)),
                request("GET", PATH, token),
                request("GET", "/health/live", token),
            ),
            "ORM": Subject(
                stack.enter_context(serving(uvicorn("orm_list:app"), environment)),
                request("GET", PATH, token),
                request("GET", "/openapi.json", token),
            ),
        }
        growth = {name: _growth(subject) for name, subject in subjects.items()}
        found = _rounds(subjects, rounds)
        waits = {name: asyncio.run(_longest_wait(subject)) for name, subject in subjects.items()}
    return _print(f"{rows:,} settings, {database}", found, growth, waits)


def _growth(subject: Subject) -> float:
    """Return the growth in megabytes for the first list, after a small request that loads all code."""
    asyncio.run(_answer(subject.server.port, subject.small))
    subject.forget_highest()
    before = subject.megabytes("VmRSS")
    asyncio.run(_answer(subject.server.port, subject.listing))
    return subject.megabytes("VmHWM") - before


def _rounds(subjects: Mapping[str, Subject], rounds: int) -> Mapping[str, Sequence[Listing]]:
    found: dict[str, list[Listing]] = {name: [] for name in subjects}
    for number in range(rounds):
        for name in list(subjects) if number % 2 == 0 else list(subjects)[::-1]:
            subject = subjects[name]
            before = subject.processor_seconds()
            listing = asyncio.run(_answer(subject.server.port, subject.listing))
            found[name].append(replace(listing, processor=subject.processor_seconds() - before))
    lengths = {len_.length for each in found.values() for len_ in each}
    if len(lengths) != 1:
        raise SystemExit(f"the lists differ: {lengths}")
    return found


async def _answer(port: int, sent: bytes) -> Listing:
    """Read one answer to its end and return its measurements; the length is that of the body."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**20)
    begun = time.perf_counter()
    writer.write(sent)
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    if not head.startswith(b"http/1.1 200"):
        raise SystemExit(f"unexpected answer: {head.decode()}")
    _, _, length = head.partition(b"content-length: ")
    chunk = int(length.partition(b"\r\n")[0]) if length else await _next_chunk(reader)
    first, total = time.perf_counter() - begun, 0
    while chunk:
        total += chunk
        while chunk:
            chunk -= len(await reader.read(min(chunk, 2**18)))
        chunk = 0 if length else await _next_chunk(reader, after_another=True)
    writer.close()
    return Listing(first, time.perf_counter() - begun, total)


async def _next_chunk(reader: asyncio.StreamReader, *, after_another: bool = False) -> int:
    if after_another:
        await reader.readline()
    return int(await reader.readline(), 16)


async def _longest_wait(subject: Subject) -> float:
    """Return the milliseconds of sequential requests while the server sends the list."""
    listing = asyncio.create_task(_answer(subject.server.port, subject.listing))
    longest = 0.0
    while not listing.done():
        longest = max(longest, (await _answer(subject.server.port, subject.small)).last)
    await listing
    return longest * 1000


def _print(
    title: str, found: Mapping[str, Sequence[Listing]], growth: Mapping[str, float], waits: Mapping[str, float]
) -> list[str]:
    pairs = list(zip(found["ours"], found["ORM"], strict=True))
    ratios = [ours.last / orm.last for ours, orm in pairs]
    processor = statistics.median(ours.processor / orm.processor for ours, orm in pairs)
    drift = max(max(e.last for e in each) / min(e.last for e in each) for each in found.values())
    print(
        f"\n{title}: {statistics.median(ratios):.3f} of the ORM's time ({min(ratios):.3f}-{max(ratios):.3f}),",
        end="",
    )
    print(
        f" {processor:.3f} of its processor time",
        f"; varied {drift:.1f} times: busy machine" * (drift > MOST_DRIFT),
    )
    for name, listings in found.items():
        last = statistics.median(each.last for each in listings)
        first = statistics.median(each.first / each.last for each in listings)
        print(f"  {name:5}{last * 1000:8.0f} ms, first byte after {first:.3f} of it,", end="")
        print(f" memory +{growth[name]:.1f} MB, others wait {waits[name]:.0f} ms at most")
    too_long = statistics.median(ratios) > MOST_RATIO and drift <= MOST_DRIFT
    missed = [f"time, {title}"] if too_long else []
    return [*missed, f"memory, {title}"] if growth["ours"] > MOST_MEGABYTES else missed


if __name__ == "__main__":
    main()
