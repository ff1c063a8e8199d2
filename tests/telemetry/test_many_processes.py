"""Metrics of several workers: each exposes the sum, and dead workers leave no live gauges."""

import os
import re
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families

from mailsettings.cli.serving.start import MEMORY_FILE_SYSTEM

from support import commands
from support.processes import clean_environment, free_port, serving
from support.timeouts import GUARD_SECONDS

REQUESTS = 20
LONGEST_WAIT_SECONDS = GUARD_SECONDS


class Service:
    """Two workers at one address; each request is a connection of its own, and goes to either."""

    def __init__(self, url: str, token: str, output: Path) -> None:
        self._url = url
        self._bearer = {"Authorization": f"Bearer {token}"}
        self._output = output

    def call(self, times: int) -> None:
        for _ in range(times):
            assert httpx.get(f"{self._url}/docs").status_code == 200

    def value(self, name: str, **labels: str) -> float:
        """The sum of the series with these labels, of one scrape."""
        return total(
            httpx.get(f"{self._url}/metrics", headers=self._bearer).raise_for_status().text, name, **labels
        )

    @property
    def workers(self) -> list[int]:
        """By their own words, those that were started first."""
        return [int(found) for found in re.findall(r"Started server process \[(\d+)\]", self._output.read_text())]

    def wait_for_workers(self, number: int) -> None:
        """Until so many have been ready since the beginning."""
        end = time.monotonic() + LONGEST_WAIT_SECONDS
        while self._output.read_text().count("Application startup complete") < number:
            assert time.monotonic() < end, "no worker got ready"
            time.sleep(0.1)


def total(text: str, name: str, **labels: str) -> float:
    """The sum of the series with these labels."""
    return sum(
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )


def assert_eventually(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + LONGEST_WAIT_SECONDS
    while True:
        with suppress(httpx.TransportError):
            if condition():
                return
        assert time.monotonic() < end
        time.sleep(0.1)


def make_token(environment: dict[str, str]) -> str:
    return commands.run(environment, "token", "--permission", "view-metrics").stdout.strip()


def test_one_scrape_counts_all_workers_and_dead_ones(tmp_path: Path) -> None:
    status = f"127.0.0.1:{free_port()}"
    environment = clean_environment(tmp_path / "data", METRICS_LISTEN=status) | {"TMPDIR": str(tmp_path)}
    before = _directories(tmp_path)
    with serving(environment, "--workers", "2") as (url, output):
        service = Service(url, make_token(environment), output)
        service.wait_for_workers(2)
        service.call(REQUESTS)
        counted = service.value("mailsettings_requests_total", operation="/docs")
        pool = service.value("mailsettings_database_pool_size")
        assert total(httpx.get(f"http://{status}/metrics").text, "mailsettings_build_info") == 1
        os.kill(service.workers[0], signal.SIGKILL)
        service.wait_for_workers(3)
        service.call(1)

        (directory,) = [path for path in _directories(tmp_path) - before if _is_of(path, service.workers[1])]
        assert directory.stat().st_mode & 0o777 == 0o700
        assert (counted, pool) == (REQUESTS, 10)
        assert service.value("mailsettings_requests_total", operation="/docs") == REQUESTS + 1
        assert service.value("mailsettings_database_pool_size") == 10
        assert service.value("mailsettings_build_info") == 1
        # Either worker may have answered there; now the others do.
        assert_eventually(lambda: httpx.get(f"http://{status}/health/ready").status_code == 200)
        told = httpx.get(f"http://{status}/metrics").text
        assert total(told, "mailsettings_requests_total", operation="/docs") == REQUESTS + 1

    assert not directory.exists()


def _directories(temporary: Path) -> set[Path]:
    return {path for place in (MEMORY_FILE_SYSTEM, temporary) for path in place.glob("mailsettings-metrics-*")}


def _is_of(directory: Path, worker: int) -> bool:
    """Other tests have theirs in memory at the same time."""
    return any(directory.glob(f"*_{worker}.db"))
