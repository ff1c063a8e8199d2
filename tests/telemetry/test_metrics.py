"""The exposed metrics: few series for any input, and correct values."""

import os
import subprocess
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families

from mailsettings import __version__
from mailsettings.domain.connection_test import FailureCode, Outcome, ProbeReport, ProbeStage, StageReport
from mailsettings.domain.findings import FAILURES, failure
from mailsettings.domain.metrics import Gauge
from mailsettings.domain.monitoring import Health
from mailsettings.telemetry.metrics import PrometheusMetrics
from mailsettings.telemetry.processes import ProcessesCollector

from support.fakes import WORKS

Series = dict[tuple[str, ...], float]


def count(
    metrics: PrometheusMetrics,
    method: str = "GET",
    operation: str | None = "/docs",
    status: int = 200,
    seconds: float = 0.01,
) -> None:
    """Count one request to a page."""
    metrics.answered("site", operation, method, status, seconds)


@pytest.fixture
def metrics() -> PrometheusMetrics:
    return PrometheusMetrics()


async def series(metrics: PrometheusMetrics, name: str, *gauges: Gauge) -> Series:
    """The values of one metric, by those of its labels in the order of their names."""
    text = (await metrics.exposition(gauges)).content.decode()
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return {tuple(sample.labels.values()): sample.value for sample in samples if sample.name == name}


async def counted(metrics: PrometheusMetrics, name: str) -> Series:
    """The values of one metric that are not 0."""
    return {labels: value for labels, value in (await series(metrics, name)).items() if value}


async def test_requests_are_counted_by_api_operation_method_and_status(metrics: PrometheusMetrics) -> None:
    count(metrics)
    count(metrics)
    count(metrics, status=503)
    count(metrics, operation=None, status=0)

    assert await series(metrics, "mailsettings_requests_total") == {
        ("site", "GET", "/docs", "200"): 2,
        ("site", "GET", "/docs", "503"): 1,
        ("site", "GET", "none", "none"): 1,
    }


async def test_durations_have_few_buckets(metrics: PrometheusMetrics) -> None:
    for seconds in (0.004, 0.02, 0.3, 60):
        count(metrics, seconds=seconds)

    steps = await series(metrics, "mailsettings_request_duration_seconds_bucket")

    assert {step[1]: value for step, value in steps.items()} == {
        "0.005": 1,
        "0.025": 2,
        "0.1": 2,
        "0.5": 3,
        "2.5": 3,
        "10.0": 3,
        "+Inf": 4,
    }


async def test_an_invented_method_is_counted_as_other(metrics: PrometheusMetrics) -> None:
    for number in range(100):
        count(metrics, method=f"BREW{number}")

    assert await series(metrics, "mailsettings_requests_total") == {("site", "other", "/docs", "200"): 100}


async def test_a_connection_test_is_counted_by_its_outcome(metrics: PrometheusMetrics) -> None:
    lost = StageReport(ProbeStage.CONTENT, Outcome.UNKNOWN)
    unknown = failure(FailureCode.DELIVERY_UNKNOWN, ProbeStage.CONTENT)
    refused = failure(FailureCode.CONNECTION_REFUSED, ProbeStage.CONNECT)
    metrics.probed("given", WORKS)
    metrics.probed("given", ProbeReport((lost,), unknown))
    metrics.probed("stored", ProbeReport((StageReport(ProbeStage.CONNECT, Outcome.FAILED),), refused))

    assert await counted(metrics, "mailsettings_connection_tests_total") == {
        ("none", "passed", "given", "none"): 1,
        ("delivery_unknown", "unknown", "given", "content"): 1,
        ("connection_refused", "failed", "stored", "connect"): 1,
    }


async def test_connection_test_series_are_bounded_by_the_catalogue(
    metrics: PrometheusMetrics,
) -> None:
    for code, meaning in FAILURES.items():
        for stage in meaning.stages:
            metrics.probed("given", ProbeReport((), failure(code, stage, explanation="of the server's own")))

    found = await counted(metrics, "mailsettings_connection_tests_total")

    assert len(found) == sum(len(meaning.stages) for meaning in FAILURES.values())


async def test_series_of_alarms_exist_before_the_first_event(metrics: PrometheusMetrics) -> None:
    pairs = {(str(code), str(stage)) for code, meaning in FAILURES.items() for stage in meaning.stages}
    tests = await series(metrics, "mailsettings_connection_tests_total")

    assert {(code, stage) for code, _, _, stage in tests} == pairs
    assert {(source, value) for (_, _, source, _), value in tests.items()} == {("stored", 0)}
    assert await series(metrics, "mailsettings_responses_total") == dict.fromkeys(
        [("2xx",), ("3xx",), ("4xx",), ("5xx",), ("none",)], 0
    )
    assert await series(metrics, "mailsettings_webhook_deliveries_total") == {("yes",): 0, ("no",): 0}
    assert await series(metrics, "mailsettings_monitoring_checks_total") == dict.fromkeys(
        [("working",), ("unconfirmed",), ("failing",)], 0
    )


async def test_every_failure_counts_in_a_series_that_exists(metrics: PrometheusMetrics) -> None:
    before = await series(metrics, "mailsettings_connection_tests_total")
    for code, meaning in FAILURES.items():
        for stage in meaning.stages:
            outcome = Outcome.UNKNOWN if code is FailureCode.DELIVERY_UNKNOWN else Outcome.FAILED
            metrics.probed("stored", ProbeReport((StageReport(stage, outcome),), failure(code, stage)))

    assert (await series(metrics, "mailsettings_connection_tests_total")).keys() == before.keys()


async def test_responses_are_counted_by_class_of_their_status(metrics: PrometheusMetrics) -> None:
    for status in (200, 204, 304, 404, 500, 503, 0):
        count(metrics, status=status)

    assert await series(metrics, "mailsettings_responses_total") == {
        ("2xx",): 2,
        ("3xx",): 1,
        ("4xx",): 1,
        ("5xx",): 2,
        ("none",): 1,
    }


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="figures of processes come from /proc")
async def test_figures_of_the_process_have_their_usual_names(metrics: PrometheusMetrics) -> None:
    count(metrics)

    for name in ("cpu_seconds_total", "resident_memory_bytes", "open_fds", "max_fds", "start_time_seconds"):
        ((value,),) = [(await series(metrics, f"process_{name}")).values()]
        assert value > 0


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="figures of processes come from /proc")
def test_figures_of_several_processes_add_up() -> None:
    def values(*processes: int) -> dict[str, float]:
        collected = ProcessesCollector(lambda: processes).collect()
        return {metric.name: metric.samples[0].value for metric in collected}

    with subprocess.Popen(["sleep", "60"]) as other:  # holds still
        try:
            one, two, own = values(other.pid), values(other.pid, other.pid), values(other.pid, os.getpid())
        finally:
            other.kill()

    assert two["process_virtual_memory_bytes"] == 2 * one["process_virtual_memory_bytes"]
    assert own["process_start_time_seconds"] <= one["process_start_time_seconds"]
    assert two["process_max_fds"] == one["process_max_fds"]


async def test_openmetrics_is_one_document_with_an_end(metrics: PrometheusMetrics) -> None:
    gauge = Gauge("watched", "How many are watched.", {(): 7})
    accept = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"

    read = await metrics.exposition([gauge], accept)
    families = {family.name for family in parse_openmetrics(read.content.decode())}

    assert read.media_type.startswith("application/openmetrics-text; version=1.0.0;")
    assert read.content.count(b"# EOF") == 1
    assert families >= {"mailsettings_requests", "mailsettings_watched"}


async def test_failed_login_series_exist_before_the_first_failure(metrics: PrometheusMetrics) -> None:
    before = await series(metrics, "mailsettings_failed_logins_total")
    metrics.login_failed(delayed=True)
    metrics.login_failed(delayed=False)

    assert before == {("wrong",): 0, ("delayed",): 0}
    assert await series(metrics, "mailsettings_failed_logins_total") == {("wrong",): 1, ("delayed",): 1}


async def test_scheduled_checks_and_webhook_deliveries_are_counted(metrics: PrometheusMetrics) -> None:
    metrics.checked(Health.WORKING)
    metrics.checked(Health.UNCONFIRMED)
    metrics.delivered(taken=True)
    metrics.delivered(taken=False)

    assert await counted(metrics, "mailsettings_monitoring_checks_total") == {("working",): 1, ("unconfirmed",): 1}
    assert await series(metrics, "mailsettings_webhook_deliveries_total") == {("yes",): 1, ("no",): 1}


async def test_the_pool_and_the_version_are_reported(metrics: PrometheusMetrics) -> None:
    metrics.sample_pool({"size": 5, "in_use": 3, "idle": 2, "overflow": 0})

    assert await series(metrics, "mailsettings_database_pool_in_use") == {(): 3}
    assert await series(metrics, "mailsettings_build_info") == {(__version__,): 1}


async def test_gauges_are_exposed_together_with_counters(metrics: PrometheusMetrics) -> None:
    days = Gauge("days_left", "Days until it ends.", {("certificate",): 12.5, ("client_secret",): 300}, ("what",))
    fewest = Gauge("watched", "How many are watched.", {(): 7})

    assert await series(metrics, "mailsettings_days_left", days, fewest) == {
        ("certificate",): 12.5,
        ("client_secret",): 300,
    }
    assert await series(metrics, "mailsettings_watched", days, fewest) == {(): 7}
