"""Count what the relay does, for Prometheus. Each series exists from the start; no label names a host."""

import asyncio
from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from mailsettings import __version__
from mailsettings.domain.message_log import MessageRecord, MessageResult
from mailsettings.telemetry.catalogue import (
    BUILD_INFO,
    DATABASE_POOL,
    PREFIX,
    RELAY_CONNECTIONS,
    RELAY_DEVICE_LOGINS,
    RELAY_MESSAGE_SECONDS,
    RELAY_MESSAGES,
    RELAY_PLACES,
    RELAY_REFUSED_CONNECTIONS,
    RELAY_SERVER_LOGINS,
    RELAY_UNLOGGED_MESSAGES,
    RELAY_WAITING,
    MetricDescription,
)

MESSAGE_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
"""In seconds, from a short message on an open connection to all of the hold time."""
REFUSED_CONNECTION_REASONS = ("total", "address", "network")


class RelayMetrics:
    """The metrics of one relay, which is one process."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._messages = self._counter(RELAY_MESSAGES)
        self._refused = self._counter(RELAY_REFUSED_CONNECTIONS)
        self._device_logins, self._server_logins = (
            self._counter(RELAY_DEVICE_LOGINS),
            self._counter(RELAY_SERVER_LOGINS),
        )
        self._unlogged = self._counter(RELAY_UNLOGGED_MESSAGES)
        seconds = RELAY_MESSAGE_SECONDS
        self._seconds = Histogram(
            seconds.name, seconds.meaning, (), PREFIX, registry=self._registry, buckets=MESSAGE_BUCKETS
        )
        self._connections, self._waiting = self._gauge(RELAY_CONNECTIONS), self._gauge(RELAY_WAITING)
        self._places = self._gauge(RELAY_PLACES)
        self._pool = {name: self._gauge(described) for name, described in DATABASE_POOL.items()}
        self._gauge(BUILD_INFO).labels(__version__).set(1)
        # Each series exists from the start, and finding it by its label costs more than counting.
        self._by_result = {result: self._messages.labels(result) for result in MessageResult}
        self._by_login = {accepted: self._device_logins.labels(_yes_or_no(accepted)) for accepted in (True, False)}
        self._start_at_zero()

    def _start_at_zero(self) -> None:
        for reason in REFUSED_CONNECTION_REASONS:
            self._refused.labels(reason)
        for accepted in (True, False):
            self._server_logins.labels(_yes_or_no(accepted))

    def message(self, record: MessageRecord) -> None:
        """Count a message."""
        self._by_result[record.result].inc()
        self._seconds.observe(record.milliseconds / 1000)

    def connections(self, count: int) -> None:
        """Set the number of connections of devices."""
        self._connections.set(count)

    def refused_connection(self, reason: str) -> None:
        """Count a connection that was refused because of a limit or its network."""
        self._refused.labels(reason).inc()

    def device_login(self, accepted: bool) -> None:  # noqa: FBT001  # a callback of the listener
        """Count a login of a device."""
        self._by_login[accepted].inc()

    def server_login(self, accepted: bool) -> None:  # noqa: FBT001  # as above
        """Count a login at a mail server."""
        self._server_logins.labels(_yes_or_no(accepted)).inc()

    def not_logged(self, count: int) -> None:
        """Count messages that are missing in the message log."""
        self._unlogged.inc(count)

    def sample(self, *, waiting: int, places: int, pool: Mapping[str, int]) -> None:
        """Set the gauges of the outgoing side and of the database pool."""
        self._waiting.set(waiting)
        self._places.set(places)
        for name, figure in pool.items():
            self._pool[name].set(figure)

    async def exposition(self) -> bytes:
        """Return all metrics in the text format of Prometheus."""
        return await asyncio.to_thread(generate_latest, self._registry)

    def _counter(self, metric: MetricDescription) -> Counter:
        return Counter(metric.name, metric.meaning, metric.labels, PREFIX, registry=self._registry)

    def _gauge(self, metric: MetricDescription) -> Gauge:
        return Gauge(metric.name, metric.meaning, metric.labels, PREFIX, registry=self._registry)


def _yes_or_no(value: bool) -> str:  # noqa: FBT001  # the only thing that it is about
    return "yes" if value else "no"
