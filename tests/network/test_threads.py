"""Blocking calls delay neither other calls nor the end of the program."""

import asyncio
import subprocess
import sys
import threading
from ipaddress import ip_address
from typing import Any

import pytest

from mailsettings.network.guard import MAX_CONCURRENT_LOOKUPS, HostLookup
from mailsettings.network.threads import DaemonThreads

from support.timeouts import GUARD_SECONDS


async def test_a_result_and_an_error_reach_the_caller() -> None:
    threads = DaemonThreads(1, "test")

    assert await threads.run(lambda: 42) == 42
    with pytest.raises(OSError, match="no such name"):
        await threads.run(lambda: raising(OSError("no such name")))


def raising(error: Exception) -> Any:
    raise error


async def test_an_abandoned_call_counts_until_it_returns() -> None:
    threads, held = DaemonThreads(1, "test"), threading.Event()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(threads.run(held.wait), 0.05)
    second = asyncio.create_task(threads.run(lambda: "second"))
    await asyncio.sleep(0.05)
    waited = not second.done()
    held.set()

    assert waited
    assert await second == "second"


async def test_slow_names_delay_neither_other_names_nor_addresses() -> None:
    held = threading.Event()

    def resolve(host: str) -> Any:
        return [ip_address("192.0.2.1")] if host == "quick.example" else held.wait()

    lookup = HostLookup(resolve)
    slow = [asyncio.create_task(lookup.addresses(f"{number}.slow.example")) for number in range(16)]
    try:
        async with asyncio.timeout(GUARD_SECONDS):
            quick = await lookup.addresses("quick.example")
            literal = await lookup.addresses("192.0.2.7")
    finally:
        held.set()
        await asyncio.gather(*slow)

    assert quick == [ip_address("192.0.2.1")]
    assert literal == [ip_address("192.0.2.7")]
    assert len(slow) < MAX_CONCURRENT_LOOKUPS


def test_a_blocking_call_does_not_prevent_exit() -> None:
    program = (
        "import asyncio, time\n"
        "from mailsettings.network.threads import DaemonThreads\n"
        "async def main():\n"
        "    await asyncio.wait_for(DaemonThreads(1, 'test').run(lambda: time.sleep(600)), 0.1)\n"
        "asyncio.run(main())\n"
    )
    command = [sys.executable, "-c", program]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=GUARD_SECONDS, check=False)

    assert "TimeoutError" in ended.stderr
