"""The thread that writes the log: whole lines in order, all of them at the end, and no wait for the reader."""

import fcntl
import json
import logging
import os
import select
import subprocess
import sys
from collections.abc import Iterator

import pytest

from mailsettings import logs
from mailsettings.log_writer import BackgroundWriter

from support import commands
from support.timeouts import GUARD_SECONDS

Pipe = tuple[int, int]


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    """A pipe of one page, in which each read returns what one write wrote."""
    ends = os.pipe2(os.O_DIRECT)
    fcntl.fcntl(ends[1], fcntl.F_SETPIPE_SZ, select.PIPE_BUF)
    yield ends
    for end in ends:
        os.close(end)


def read_until(reader: int, last: str) -> list[str]:
    """The writes up to the line *last*."""
    writes: list[str] = []
    while not writes or not writes[-1].endswith(last):
        assert select.select([reader], [], [], GUARD_SECONDS)[0], writes
        writes.append(os.read(reader, 1 << 20).decode())
    return writes


def test_each_write_is_atomic_and_of_whole_lines(pipe: Pipe) -> None:
    """POSIX, write(): up to PIPE_BUF bytes are not mixed with the writes of other processes."""
    reader, descriptor = pipe
    lines = [f"{number} {'ü' * (number % 150)}\n" for number in range(300)]
    writer = BackgroundWriter(descriptor)

    for line in lines:
        writer.write(line)

    writes = read_until(reader, lines[-1])
    assert "".join(writes) == "".join(lines)
    assert all(write.endswith("\n") and len(write.encode()) <= select.PIPE_BUF for write in writes)
    assert len(writes) < len(lines) / 5


def test_a_line_longer_than_a_pipe_arrives_whole(pipe: Pipe) -> None:
    reader, descriptor = pipe
    long = f"{'x' * 3 * select.PIPE_BUF}\n"
    writer = BackgroundWriter(descriptor)

    writer.write(long)
    writer.write("end\n")

    assert "".join(read_until(reader, "end\n")) == f"{long}end\n"


def test_dropped_lines_are_counted_once_the_log_is_read(pipe: Pipe, caplog: pytest.LogCaptureFixture) -> None:
    """Nothing reads at first, and writing never waits."""
    reader, descriptor = pipe
    writer = BackgroundWriter(descriptor, max_waiting=50)

    for _ in range(1000):
        writer.write_request(f"{'x' * 1000}\n")

    received = 0
    while received + dropped(caplog) < 1000:
        if select.select([reader], [], [], 0.01)[0]:
            received += os.read(reader, 1 << 20).count(b"\n")
    assert received + dropped(caplog) == 1000
    assert received < 500


def test_lines_of_requests_are_dropped_before_all_others(pipe: Pipe) -> None:
    reader, descriptor = pipe
    writer = BackgroundWriter(descriptor, max_waiting=50)

    for _ in range(1000):
        writer.write_request(f"{'x' * 1000}\n")
    writer.write("audit\n")

    assert read_until(reader, "audit\n")


def dropped(caplog: pytest.LogCaptureFixture) -> int:
    """How many lines the log says were dropped."""
    return sum(int(message.split()[1]) for message in caplog.messages if message.startswith("Dropped "))


def test_a_reader_that_is_gone_stops_nothing() -> None:
    reader, descriptor = os.pipe()
    os.close(reader)
    writer = BackgroundWriter(descriptor)

    writer.write("lost\n")
    writer.flush()

    os.close(descriptor)


ENDS = {
    "normal": "",
    "sys.exit": "sys.exit(3)",
    "error": "raise SystemError('broken')",
    "at once, after logging.shutdown": "logging.shutdown(); os._exit(1)",
    "forked": "log.info('parent'); os.fork() or [log.info('%d', n) for n in range(500)]",
}


@pytest.mark.parametrize("end", ENDS)
def test_no_line_is_lost_at_the_end_of_a_process(end: str) -> None:
    program = (
        "import logging, os, sys; from mailsettings import logs;"
        "logs.configure('json', 'info', in_background=True);"
        f"log = logging.getLogger('a'); [log.info('%d', n) for n in range(500)]; {ENDS[end]}"
    )

    # Since Python 3.12, a fork of a process with threads warns.
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", program]
    run = subprocess.run(command, capture_output=True, timeout=GUARD_SECONDS, check=False)

    lines = [json.loads(line)["message"] for line in run.stderr.decode().splitlines()]
    expected = [str(number) for number in range(500)]
    more = {"error": ["Uncaught exception."], "forked": ["parent", *expected]}.get(end, [])
    assert sorted(lines) == sorted([*expected, *more])


MISHAPS = """
import logging, sys, threading, warnings
from mailsettings import logs
logs.configure("json", "warning", in_background=True)
class Broken:
    def __del__(self): raise SystemError("in a destructor")
warnings.warn("old", UserWarning)
thread = threading.Thread(target=lambda: 1 / 0)
thread.start()
thread.join()
Broken()
logging.getLogger("a").warning("%d of %d", "too few")
raise SystemError("at the end")
"""


def test_what_python_prints_is_in_lines_of_json() -> None:
    run = subprocess.run(
        [commands.python(), "-c", MISHAPS], capture_output=True, timeout=GUARD_SECONDS, check=False
    )

    lines = [json.loads(line) for line in run.stderr.decode().splitlines()]
    uncaught = [line["exc_info"].splitlines()[-1] for line in lines if line["message"] == "Uncaught exception."]
    assert run.returncode == 1
    assert not run.stdout
    assert uncaught == [
        "ZeroDivisionError: division by zero",
        "SystemError: in a destructor",
        "SystemError: at the end",
    ]
    assert [line["message"].partition("\n")[0] for line in lines if line["logger"] == "py.warnings"] == [
        "<string>:7: UserWarning: old"
    ]
    (mistake,) = [line for line in lines if line["logger"] == "a"]
    assert mistake["message"] == "Cannot write the line of the log from <string>:12: TypeError"
    assert len(lines) == 5


@pytest.mark.parametrize("style", ["json", "text"])
@pytest.mark.parametrize("request_id", [{"request_id": "a-1"}, {}])
def test_a_prepared_line_is_that_of_a_record(
    style: logs._Style,
    request_id: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The access log is written without a record, where nothing but our handler listens."""
    lines: list[str] = []
    ours = logs.LineHandler(style, lines.append, lambda: None)
    monkeypatch.setattr(logging.getLogger(), "handlers", [ours])
    caplog.set_level(logging.INFO)
    monkeypatch.setattr("time.time", lambda: 1_764_300_000.25)
    monkeypatch.setattr("time.time_ns", lambda: 1_764_300_000_250_000_000)  # since Python 3.13
    log = logging.getLogger("mailsettings.access")
    members = {"path": 'a"\\b\u20ac', "route": None, "status": 200, "duration_ms": 1.5, **request_id}

    logs.request_line(log, logging.INFO, "100% of \u20ac", members)
    log.info("%s", "100% of \u20ac", extra=members)

    assert lines[0] == lines[1]
    assert "2025-11-28T03:20:00.250Z" in lines[0]
    assert ours.filters
