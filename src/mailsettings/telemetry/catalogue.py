"""Every metric that is counted here: its name, what it means, its labels. docs/metrics.md is made from this."""

from dataclasses import dataclass

PREFIX = "mailsettings"


@dataclass(frozen=True, slots=True)
class MetricDescription:
    """One metric; `kind` is one of Prometheus' types."""

    name: str
    kind: str
    meaning: str
    labels: tuple[str, ...] = ()


REQUESTS = MetricDescription(
    "requests_total", "counter", "Requests that were answered.", ("api", "operation", "method", "status")
)
REQUEST_SECONDS = MetricDescription(
    "request_duration_seconds",
    "histogram",
    "Seconds from when the head of a request was read until its answer was over.",
    ("api", "operation", "method"),
)
CONNECTION_TESTS = MetricDescription(
    "connection_tests_total",
    "counter",
    "Connection tests that were made.",
    ("source", "outcome", "stage", "code"),
)
FAILED_LOGINS = MetricDescription(
    "failed_logins_total",
    "counter",
    "Logins that failed: by a wrong name or secret, or delayed because of earlier ones.",
    ("problem",),
)
SCHEDULED_CHECKS = MetricDescription(
    "watch_checks_total", "counter", "Checks on schedule that this server made, by what they found.", ("health",)
)
WEBHOOK_DELIVERIES = MetricDescription(
    "webhook_deliveries_total", "counter", "Attempts to tell the webhook, by whether it took it.", ("taken",)
)
DATABASE_POOL = {
    name: MetricDescription(f"database_pool_{name}", "gauge", meaning)
    for name, meaning in (
        ("size", "Connections to the database that stay open when nobody needs them, at most."),
        ("in_use", "Connections to the database that are in use."),
        ("idle", "Connections to the database that are open and free."),
        ("overflow", "Connections to the database beyond the size, which are closed after use."),
    )
}
BUILD_INFO = MetricDescription("build_info", "gauge", "1, for the version that runs.", ("version",))

ALL_METRICS = (
    REQUESTS,
    REQUEST_SECONDS,
    CONNECTION_TESTS,
    FAILED_LOGINS,
    SCHEDULED_CHECKS,
    WEBHOOK_DELIVERIES,
    *DATABASE_POOL.values(),
    BUILD_INFO,
)
