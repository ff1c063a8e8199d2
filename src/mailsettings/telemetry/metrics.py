"""Count events for Prometheus.

Several worker processes count into files of one directory (the library's multi-process mode), and each of them
exposes the sum. Label values come from our own lists only: nothing a caller chooses becomes a label.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Literal

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    disable_created_metrics,
)
from prometheus_client import Gauge as PrometheusGauge
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector

from mailsettings import __version__
from mailsettings.domain.connection_test import FailureCode, Outcome, ProbeReport
from mailsettings.domain.findings import FAILURES
from mailsettings.domain.metrics import Exposition, Gauge
from mailsettings.domain.monitoring import Health
from mailsettings.telemetry.catalogue import (
    BUILD_INFO,
    CONNECTION_TESTS,
    DATABASE_POOL,
    FAILED_LOGINS,
    PREFIX,
    REQUEST_SECONDS,
    REQUESTS,
    RESPONSES,
    SCHEDULED_CHECKS,
    WEBHOOK_DELIVERIES,
    MetricDescription,
)
from mailsettings.telemetry.processes import ProcessesCollector

NO_VALUE, WRONG, DELAYED = "none", "wrong", "delayed"
STORED = "stored"
"""The source of tests of stored settings."""
CHECKED = (Health.WORKING, Health.UNCONFIRMED, Health.FAILING)
"""What a scheduled check may find."""
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
"""Other methods are counted as "other": a caller could invent any number of them."""
DURATION_BUCKETS = (0.005, 0.025, 0.1, 0.5, 2.5, 10)
"""In seconds, from a read over a write and a login to a connection test."""
disable_created_metrics()  # else each counter has a second series, the time of its first count


class PrometheusMetrics:
    """The metrics of one process, or of several that share *directory* (PROMETHEUS_MULTIPROC_DIR)."""

    def __init__(self, directory: Path | None = None) -> None:
        self._directory = directory
        self._registry = CollectorRegistry()
        requests, seconds = self._counter(REQUESTS), self._histogram(REQUEST_SECONDS)
        # `labels` takes a lock each time, so its results are cached.
        self._requests, self._seconds = cache(requests.labels), cache(seconds.labels)
        self._responses = cache(self._counter(RESPONSES).labels)
        self._tests, self._logins = self._counter(CONNECTION_TESTS), self._counter(FAILED_LOGINS)
        self._checks, self._deliveries = self._counter(SCHEDULED_CHECKS), self._counter(WEBHOOK_DELIVERIES)
        self._pool = {name: self._gauge(described, "livesum") for name, described in DATABASE_POOL.items()}
        self._gauge(BUILD_INFO, "max").labels(__version__).set(1)
        self._processes = ProcessesCollector(self._live_processes)
        self._add_zeros = cache(self._make_zeros)

    def answered(self, api: str, operation: str | None, method: str, status: int, seconds: float) -> None:
        """Count a request; *operation* is the template of its route, and *status* is 0 without an answer."""
        which = (api, operation or NO_VALUE, method if method in METHODS else "other")
        self._requests(*which, str(status or NO_VALUE)).inc()
        self._responses(f"{status // 100}xx" if status else NO_VALUE).inc()
        self._seconds(*which).observe(seconds)

    def probed(self, source: str, report: ProbeReport) -> None:
        """Count a connection test."""
        failure = report.failure
        if failure is None:
            self._tests.labels(source, Outcome.PASSED, NO_VALUE, NO_VALUE).inc()
            return
        unknown = any(stage.outcome is Outcome.UNKNOWN for stage in report.stages)
        outcome = Outcome.UNKNOWN if unknown else Outcome.FAILED
        self._tests.labels(source, outcome, failure.stage, failure.code).inc()

    def login_failed(self, *, delayed: bool) -> None:
        """Count a failed login."""
        self._logins.labels(DELAYED if delayed else WRONG).inc()

    def checked(self, found: Health) -> None:
        """Count a scheduled check."""
        self._checks.labels(found.value).inc()

    def delivered(self, *, taken: bool) -> None:
        """Count an attempt to deliver an event to the webhook."""
        self._deliveries.labels("yes" if taken else "no").inc()

    def sample_pool(self, figures: Mapping[str, int]) -> None:
        """Set the gauges of the database pool, by the names in `DATABASE_POOL`."""
        for name, figure in figures.items():
            self._pool[name].set(figure)

    async def exposition(self, gauges: Sequence[Gauge], accept: str = "", /) -> Exposition:
        """Return all metrics and *gauges* in a format that the header *accept* names, as Prometheus negotiates.

        Runs on a thread, because it may read many files.
        """
        return await asyncio.to_thread(self._exposition, gauges, accept)

    def _exposition(self, gauges: Sequence[Gauge], accept: str) -> Exposition:
        self._add_zeros()
        counted: Collector = self._registry
        if self._directory is not None:
            _remove_dead_workers(self._directory)
            counted = MultiProcessCollector(None, str(self._directory))
        encode, media_type = choose_encoder(accept)
        return Exposition(encode(_Together(counted, _GaugeCollector(gauges), self._processes)), media_type)

    def _make_zeros(self) -> None:
        """Add the series that alarms compare with earlier values: `increase` does not see a series begin."""
        for kind in (*(f"{hundreds}xx" for hundreds in (2, 3, 4, 5)), NO_VALUE):
            self._responses(kind)
        for problem in (WRONG, DELAYED):
            self._logins.labels(problem)
        for health in CHECKED:
            self._checks.labels(health.value)
        for taken in ("yes", "no"):
            self._deliveries.labels(taken)
        for code, meaning in FAILURES.items():
            outcome = Outcome.UNKNOWN if code is FailureCode.DELIVERY_UNKNOWN else Outcome.FAILED
            for stage in meaning.stages:
                self._tests.labels(STORED, outcome, stage, code)

    def _live_processes(self) -> Sequence[int]:
        if self._directory is None:
            return [os.getpid()]
        return sorted({_worker(file) for file in self._directory.glob("gauge_live*_*.db")})

    def _counter(self, metric: MetricDescription) -> Counter:
        return Counter(metric.name, metric.meaning, metric.labels, PREFIX, registry=self._registry)

    def _histogram(self, metric: MetricDescription) -> Histogram:
        how = (metric.name, metric.meaning, metric.labels, PREFIX)
        return Histogram(*how, registry=self._registry, buckets=DURATION_BUCKETS)

    def _gauge(self, metric: MetricDescription, of_many: Literal["livesum", "max"]) -> PrometheusGauge:
        how = (metric.name, metric.meaning, metric.labels, PREFIX)
        return PrometheusGauge(*how, registry=self._registry, multiprocess_mode=of_many)


class _GaugeCollector(Collector):
    def __init__(self, gauges: Sequence[Gauge]) -> None:
        self._gauges = gauges

    def collect(self) -> Iterator[Metric]:
        for gauge in self._gauges:
            family = GaugeMetricFamily(f"{PREFIX}_{gauge.name}", gauge.meaning, labels=gauge.labels)
            for labels, value in gauge.values.items():
                family.add_metric(labels, value)
            yield family


class _Together(Collector):
    def __init__(self, *collectors: Collector) -> None:
        self._collectors = collectors

    def collect(self) -> Iterator[Metric]:
        for collector in self._collectors:
            yield from collector.collect()


def _remove_dead_workers(directory: Path) -> None:
    """Drop the live gauges of dead workers; their counters stay."""
    for file in directory.glob("gauge_live*_*.db"):
        worker = _worker(file)
        if not _is_alive(worker):
            mark_process_dead(worker, str(directory))


def _worker(file: Path) -> int:
    return int(file.stem.rpartition("_")[2])


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except OSError:  # no such process, or another user's process with the same id
        return False
    return True


SAMPLING_INTERVAL_SECONDS = 5.0
"""Prometheus usually scrapes at this interval or less often."""


@asynccontextmanager
async def sampling(
    sample: Callable[[], None], every_seconds: float = SAMPLING_INTERVAL_SECONDS
) -> AsyncIterator[None]:
    """Call *sample* at the start of the block, and then every *every_seconds* until its end."""

    async def go_on() -> None:
        while True:
            await asyncio.sleep(every_seconds)
            sample()

    sample()
    task = asyncio.create_task(go_on())
    try:
        yield
    finally:
        task.cancel()
