"""Compare the relay with devices that send directly and with other relays, by what an operator would notice.

    PYTHONPATH=tests … relay.py [--part trips|burst|rate|memory] [--rounds 3] [--only NAME…]

- trips: one message at a time, with a mail server 20 ms away: the median in round trips.
- burst: 64 devices at once, one try each, and a mail server that lets 3 connections log in.
- rate: messages a second with 16 and 64 devices at once, and the processor time of the relay for a message.
- memory: 16 messages of 20 MB at once; 1,000 idle connections.

Each device makes a connection for each message, logs in where the relay has logins, and sends one command at a
time. The contenders take turns, in reversed order every other round; the figures are medians over the rounds. A
relay that this machine lacks is left out. The mail server requires STARTTLS and a login.
"""

import argparse
import asyncio
import math
import resource
import smtplib
import ssl
import statistics
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple, TypeVar

import trustme

import delayed_mail_server
import relay_devices
from processor_time import memory_megabytes, processor_seconds
from relay_contenders import Contender, Files, Start, available
from relay_devices import Load, Place, Result
from relay_target import Target, target

ROUND_TRIP_SECONDS = 0.02
TRIPS, WARM_UP = 20, 3
DEVICES, MAX_LOGINS, SECONDS_EACH, PATIENCE_SECONDS = 64, 3, 0.295, 60
RATE_MESSAGES = {"msmtpd": 64}
BIG_MESSAGES, BIG_BYTES = 16, 20 << 20
IDLE = 1000
PIPELINING = {"this service", "direct"}
"""Those that offer it."""
MANY_CONNECTIONS = {"this service", "naive"}
"""Those that take so many connections of a machine by default."""
SAMPLE_SECONDS = 0.05

T = TypeVar("T")
Contenders = Mapping[str, Start]


class Certificates(NamedTuple):
    """Those of the relays, as files; and that of the mail server, as its context."""

    files: Files
    context: ssl.SSLContext


class Running(NamedTuple):
    """A contender with the mail server that it hands mail to."""

    name: str
    contender: Contender
    target: Target


def main() -> None:
    """Measure the chosen parts and print their tables."""
    options = _options()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    contenders = {name: start for name, start in available().items() if name in (options.only or [name])}
    with tempfile.TemporaryDirectory() as folder:
        certificates = certificates_in(Path(folder))
        for part in [options.part] if options.part else PARTS:
            PARTS[part](contenders, certificates, options.rounds)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Compare relays.")
    parser.add_argument("--only", nargs="+", help="names of the relays to compare")
    parser.add_argument("--part", choices=[*PARTS])
    parser.add_argument("--rounds", type=int, default=3)
    return parser.parse_args()


def certificates_in(folder: Path) -> Certificates:
    """Return files for the relays, and a context for the mail server."""
    authority = trustme.CA()
    leaf = authority.issue_cert("127.0.0.1", "localhost")
    files = Files(folder / "authority.pem", folder / "relay.pem", folder / "relay.key")
    authority.cert_pem.write_to_path(files.authority)
    files.certificate.write_bytes(b"".join(pem.bytes() for pem in leaf.cert_chain_pems))
    leaf.private_key_pem.write_to_path(files.key)
    files.key.chmod(0o600)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    leaf.configure_cert(context)
    return Certificates(files, context)


def _trips(contenders: Contenders, certificates: Certificates, rounds: int) -> None:
    figures = defaultdict[str, list[float]](list)
    with ExitStack() as stack:
        running = [
            (name, stack.enter_context(_distant(start, certificates))) for name, start in contenders.items()
        ]
        round_trip = stack.enter_context(_measured_round_trip(certificates.context))
        for name, contender in _in_turns(running, rounds):
            for pipelining in (False, True) if name in PIPELINING else (False,):
                load = Load(TRIPS + WARM_UP, 1, pipelining=pipelining)
                results, _ = relay_devices.run(contender.plain, load)
                _require_all(name, results)
                title = f"{name}, pipelining" if pipelining else name
                figures[title] += [result.seconds / round_trip for result in results[WARM_UP:]]
    print(f"\nOne message at a time, one round trip is {round_trip * 1000:.1f} ms\n")
    _table(["relay", "round trips, p50"], {name: [statistics.median(found)] for name, found in figures.items()})


@contextmanager
def _distant(start: Start, certificates: Certificates) -> Iterator[Contender]:
    with ExitStack() as stack:
        port, _ = stack.enter_context(
            delayed_mail_server.serving(
                certificates.context, implicit=False, starttls=True, round_trip_seconds=ROUND_TRIP_SECONDS
            )
        )
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        yield stack.enter_context(start(port, certificates.files, folder))


@contextmanager
def _measured_round_trip(context: ssl.SSLContext) -> Iterator[float]:
    """Yield the median time of a NOOP behind the delay."""
    took = []
    with (
        delayed_mail_server.serving(
            context, implicit=False, starttls=False, round_trip_seconds=ROUND_TRIP_SECONDS
        ) as (port, _),
        smtplib.SMTP("127.0.0.1", port) as client,
    ):
        client.ehlo("client")
        for _ in range(TRIPS):
            begun = time.perf_counter()
            client.noop()
            took.append(time.perf_counter() - begun)
    yield statistics.median(took)


def _burst(contenders: Contenders, certificates: Certificates, rounds: int) -> None:
    pace = math.ceil(DEVICES / MAX_LOGINS) * SECONDS_EACH
    figures = defaultdict[str, list[tuple[float, ...]]](list)
    for _ in range(rounds):
        for name, start in contenders.items():  # a new mail server for each: idle connections keep places
            with _near(name, start, certificates, logins=MAX_LOGINS, seconds=SECONDS_EACH) as running:
                figures[name].append(_burst_of(running, pace))
    print(f"\n{DEVICES} devices at once, {MAX_LOGINS} let in; the mail server alone needs {pace:.1f} s\n")
    heads = [
        "relay",
        "accepted",
        "sent in 60 s",
        "refused for good",
        "432 provoked",
        "time to the last, to the pace",
    ]
    _table(
        heads,
        {
            name: [statistics.median(column) for column in zip(*found, strict=True)]
            for name, found in figures.items()
        },
    )


def _burst_of(running: Running, pace: float) -> tuple[float, ...]:
    begun = time.monotonic()
    load = Load(DEVICES, DEVICES, timeout=PATIENCE_SECONDS)
    results, _ = relay_devices.run(running.contender.plain, load)
    accepted = sum(result.code == 250 for result in results)
    while running.target.counts[0] < accepted and time.monotonic() < begun + PATIENCE_SECONDS:
        time.sleep(SAMPLE_SECONDS)
    took = time.monotonic() - begun
    sent, refused, _ = running.target.counts
    return accepted, sent, sum(result.code >= 500 for result in results), refused, took / pace


def _rate(contenders: Contenders, certificates: Certificates, rounds: int) -> None:
    figures = defaultdict[tuple[str, str, int], list[tuple[float, float]]](list)
    with ExitStack() as stack:
        all_running = [stack.enter_context(_near(name, start, certificates)) for name, start in contenders.items()]
        for running in _in_turns(all_running, rounds):
            encrypted = running.contender.encrypted
            places = {"clear": running.contender.plain} | ({"STARTTLS": encrypted} if encrypted else {})
            for kind, place in places.items():
                for at_once in (16, 64):
                    figures[running.name, kind, at_once].append(_rate_of(running, place, at_once))
    print("\nMessages of 2 KB, mail server on this machine\n")
    heads = ["relay", "devices use", "at once", "messages / s", "ms of processor each"]
    print(f"| {' | '.join(heads)} |\n|---|---|--:|--:|--:|")
    for (name, kind, at_once), found in figures.items():
        rate, each = (statistics.median(column) for column in zip(*found, strict=True))
        print(f"| {name} | {kind} | {at_once} | {rate:.0f} | {each:.2f} |")


def _rate_of(running: Running, place: Place, at_once: int) -> tuple[float, float]:
    """Return messages a second, and the milliseconds of processor time of the relay for each."""
    messages = RATE_MESSAGES.get(running.name, at_once * 20)
    before, sent = _processor(running), running.target.counts[0]
    results, took = relay_devices.run(place, Load(messages, at_once))
    _require_all(running.name, results)
    while running.target.counts[0] < sent + messages:  # a relay with a queue
        time.sleep(SAMPLE_SECONDS)
    return messages / took, (_processor(running) - before) * 1000 / messages


def _processor(running: Running) -> float:
    process = running.contender.process
    return processor_seconds(process, ended=True) if process else math.nan


def _memory(contenders: Contenders, certificates: Certificates, _rounds: int) -> None:
    figures = dict[str, list[float]]()
    for name, start in contenders.items():
        if name == "direct":
            continue
        with _near(name, start, certificates) as running:
            process = running.contender.process
            relay_devices.run(running.contender.plain, Load(16, 4))
            idle = memory_megabytes(process)
            with _peak(process) as peak:
                results, _ = relay_devices.run(
                    running.contender.plain, Load(BIG_MESSAGES, BIG_MESSAGES, size=BIG_BYTES)
                )
            arrived = sum(result.code == 250 for result in results)
        each = [math.nan, math.nan]
        if name in MANY_CONNECTIONS:
            each = [_idle_kilobytes(name, start, certificates, encrypted=encrypted) for encrypted in (False, True)]
        figures[name] = [idle, max(peak), arrived, *each]
    print(f"\nMemory in MB; {BIG_MESSAGES} messages of {BIG_BYTES >> 20} MB at once; {IDLE} idle connections\n")
    _table(["relay", "idle", "peak", "messages sent", "kB for an idle connection", "with STARTTLS"], figures)


def _idle_kilobytes(name: str, start: Start, certificates: Certificates, *, encrypted: bool) -> float:
    """Return the memory that a connection costs that has logged in and is silent."""
    with _near(name, start, certificates) as running:
        place = running.contender.encrypted if encrypted else running.contender.plain
        assert place is not None
        return asyncio.run(_idle(running.contender.process, place))


async def _idle(process: int, place: Place) -> float:
    await relay_devices.idle(place, 20)
    before = memory_megabytes(process)
    connections = await relay_devices.idle(place, IDLE)
    after = memory_megabytes(process)
    gone = sum(reader.at_eof() for reader, _ in connections)
    if gone:
        raise SystemExit(f"{gone} idle connections were closed")
    for _, writer in connections:
        writer.close()
    return (after - before) * 1024 / IDLE


@contextmanager
def _peak(process: int) -> Iterator[list[float]]:
    """Sample the memory while the block runs."""
    found, ended = [0.0], threading.Event()

    def sample() -> None:
        while not ended.wait(SAMPLE_SECONDS):
            found.append(memory_megabytes(process))

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield found
    finally:
        ended.set()
        thread.join()


@contextmanager
def _near(
    name: str, start: Start, certificates: Certificates, *, logins: int = 1000, seconds: float = 0
) -> Iterator[Running]:
    with ExitStack() as stack:
        counted = stack.enter_context(target(certificates.context, max_logins=logins, seconds=seconds))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        yield Running(name, stack.enter_context(start(counted.port, certificates.files, folder)), counted)


def _in_turns(contenders: Sequence[T], rounds: int) -> Iterator[T]:
    for number in range(rounds):
        yield from contenders if number % 2 else reversed(contenders)


def _require_all(name: str, results: Sequence[Result]) -> None:
    failed = [result.code for result in results if result.code != 250]
    if failed:
        raise SystemExit(f"{name}: {len(failed)} of {len(results)} messages failed: {failed[:5]}")


def _table(heads: Sequence[str], rows: Mapping[str, Sequence[float]]) -> None:
    print(f"| {' | '.join(heads)} |\n|---|{'--:|' * (len(heads) - 1)}")
    for name, figures in rows.items():
        print(f"| {name} | {' | '.join(f'{figure:.3g}' for figure in figures)} |")


PARTS: Mapping[str, Callable[[Contenders, Certificates, int], None]] = {
    "trips": _trips,
    "burst": _burst,
    "rate": _rate,
    "memory": _memory,
}

if __name__ == "__main__":
    main()
