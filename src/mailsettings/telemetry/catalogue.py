"""All metrics with name, meaning and labels. docs/metrics.md is generated from this list."""

from dataclasses import dataclass

PREFIX = "mailsettings"


@dataclass(frozen=True, slots=True)
class MetricDescription:
    """One metric; `kind` is a Prometheus type."""

    name: str
    kind: str
    meaning: str
    labels: tuple[str, ...] = ()


REQUESTS = MetricDescription(
    "requests_total", "counter", "Answered requests.", ("api", "operation", "method", "status")
)
RESPONSES = MetricDescription(
    "responses_total", "counter", "Answered requests by class of the status, such as `5xx`.", ("class",)
)
REQUEST_SECONDS = MetricDescription(
    "request_duration_seconds",
    "histogram",
    "Seconds from the end of the request's headers to the end of the response.",
    ("api", "operation", "method"),
)
CONNECTION_TESTS = MetricDescription(
    "connection_tests_total",
    "counter",
    "Connection tests.",
    ("source", "outcome", "stage", "code"),
)
FAILED_LOGINS = MetricDescription(
    "failed_logins_total",
    "counter",
    "Failed logins: wrong name or secret, or delayed because of earlier failures.",
    ("problem",),
)
SCHEDULED_CHECKS = MetricDescription(
    "monitoring_checks_total", "counter", "Scheduled checks of this replica, by result.", ("health",)
)
WEBHOOK_DELIVERIES = MetricDescription(
    "webhook_deliveries_total", "counter", "Delivery attempts to the webhook, by success.", ("taken",)
)
DATABASE_POOL = {
    name: MetricDescription(f"database_pool_{name}", "gauge", meaning)
    for name, meaning in (
        ("size", "The most idle database connections that stay open."),
        ("in_use", "Database connections in use."),
        ("idle", "Open, idle database connections."),
        ("overflow", "Database connections beyond the size; they are closed after use."),
    )
}
BUILD_INFO = MetricDescription("build_info", "gauge", "1, for the running version.", ("version",))

RELAY_MESSAGES = MetricDescription(
    "relay_messages_total", "counter", "Messages of devices, by result.", ("result",)
)
RELAY_MESSAGE_SECONDS = MetricDescription(
    "relay_message_duration_seconds", "histogram", "Seconds from MAIL to the answer to the message."
)
RELAY_CONNECTIONS = MetricDescription("relay_connections", "gauge", "Open connections of devices.")
RELAY_REFUSED_CONNECTIONS = MetricDescription(
    "relay_refused_connections_total",
    "counter",
    "Connections of devices that were refused, because of a limit or their network.",
    ("reason",),
)
RELAY_DEVICE_LOGINS = MetricDescription(
    "relay_device_logins_total", "counter", "Logins of devices, by success.", ("accepted",)
)
RELAY_SERVER_LOGINS = MetricDescription(
    "relay_server_logins_total", "counter", "Logins of the relay at mail servers, by success.", ("accepted",)
)
RELAY_WAITING = MetricDescription(
    "relay_waiting_messages", "gauge", "Messages that wait for a connection to their mail server."
)
RELAY_PLACES = MetricDescription("relay_places", "gauge", "Connections to mail servers that this relay holds.")
RELAY_UNLOGGED_MESSAGES = MetricDescription(
    "relay_unlogged_messages_total", "counter", "Messages that are missing in the message log."
)

ALL_METRICS = (
    REQUESTS,
    RESPONSES,
    REQUEST_SECONDS,
    CONNECTION_TESTS,
    FAILED_LOGINS,
    SCHEDULED_CHECKS,
    WEBHOOK_DELIVERIES,
    *DATABASE_POOL.values(),
    BUILD_INFO,
)
"""The metrics of `serve`."""
RELAY_METRICS = (
    RELAY_MESSAGES,
    RELAY_MESSAGE_SECONDS,
    RELAY_CONNECTIONS,
    RELAY_REFUSED_CONNECTIONS,
    RELAY_DEVICE_LOGINS,
    RELAY_SERVER_LOGINS,
    RELAY_WAITING,
    RELAY_PLACES,
    RELAY_UNLOGGED_MESSAGES,
    *DATABASE_POOL.values(),
    BUILD_INFO,
)
"""The metrics of the relay's own process."""
