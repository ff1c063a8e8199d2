"""Reads from memory and writes of three processes, one of them paused at times, fit into one order."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

from mailsettings.domain.access import Account, Credentials
from mailsettings.domain.mail_server import ConnectionSecurity, MailServer, Sender
from mailsettings.store.database import SQLStore

from support.register_history import NEVER, Operation, violations
from support.timeouts import GUARD_SECONDS

TESTS = Path(__file__).parents[1]
INITIAL = MailServer("initial.example.org", 25, ConnectionSecurity.NONE, Sender("a@example.org"))
PROCESSES = 3
WRITES_PER_PROCESS = 30
PAUSES = 4
PAUSE_SECONDS = 0.05


async def test_reads_and_writes_of_three_processes_are_linearizable(store: SQLStore, database_url: str) -> None:
    async with store.writing() as work:
        assert await work.mail_servers.add(INITIAL) == 1
        await work.accounts.add(Credentials(Account("caller", frozenset()), "x"))
    running = [start(database_url, f"p{number}") for number in range(PROCESSES)]
    first = [process.stdout.readline() for process in running if process.stdout]
    pause_at_times(running[0])
    outputs = [process.communicate(timeout=GUARD_SECONDS)[0] for process in running]
    history = [operation(line) for output in (*first, *outputs) for line in output.splitlines()]

    assert [process.returncode for process in running] == [0] * PROCESSES
    assert sum(each.is_write for each in history) == PROCESSES * WRITES_PER_PROCESS
    assert sum(not each.is_write for each in history) > PROCESSES * WRITES_PER_PROCESS
    assert violations(INITIAL.host, history) == []


def start(url: str, name: str) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "support.register_process", url, name, str(WRITES_PER_PROCESS)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, bufsize=0, cwd=TESTS)


def pause_at_times(process: "subprocess.Popen[bytes]") -> None:
    for _ in range(PAUSES):
        process.send_signal(signal.SIGSTOP)
        time.sleep(PAUSE_SECONDS)
        process.send_signal(signal.SIGCONT)
        time.sleep(PAUSE_SECONDS)


def operation(line: bytes) -> Operation:
    is_write, host, began, ended = json.loads(line)
    return Operation(is_write, host, began, NEVER if ended is None else ended)
