"""Reads from memory and writes of three processes, one of them paused at times, fit into one order."""

import json
import os
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
WRITES_PER_PROCESS = 20
PAUSES = 4
PAUSE_SECONDS = 0.05


async def test_reads_and_writes_of_three_processes_are_linearizable(store: SQLStore, database_url: str) -> None:
    async with store.writing() as work:
        assert await work.mail_servers.add(INITIAL, as_default=True) == 1
        await work.accounts.add(Credentials(Account("caller", frozenset()), "x"))
    status, output = run(database_url)
    history = [operation(line) for line in output.splitlines()]

    assert status == 0
    assert sum(each.is_write for each in history) == PROCESSES * WRITES_PER_PROCESS
    assert sum(not each.is_write for each in history) > PROCESSES * WRITES_PER_PROCESS
    assert violations(INITIAL.host, history) == []


def run(url: str) -> tuple[int, bytes]:
    """Run the processes; return their status and output."""
    command = [sys.executable, "-m", "support.register_process", url, str(PROCESSES), str(WRITES_PER_PROCESS)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, bufsize=0, cwd=TESTS) as running:
        assert running.stdout is not None
        first, *_ = json.loads(running.stdout.readline())
        pause_at_times(first)
        output, _ = running.communicate(timeout=GUARD_SECONDS)
    return running.returncode, output


def pause_at_times(process: int) -> None:
    for _ in range(PAUSES):
        os.kill(process, signal.SIGSTOP)
        time.sleep(PAUSE_SECONDS)
        os.kill(process, signal.SIGCONT)
        time.sleep(PAUSE_SECONDS)


def operation(line: bytes) -> Operation:
    is_write, host, began, ended = json.loads(line)
    return Operation(is_write, host, began, NEVER if ended is None else ended)
