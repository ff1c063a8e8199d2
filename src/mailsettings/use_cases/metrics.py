"""Metrics of the service for monitoring systems."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

from mailsettings.domain.access import Permission, Principal
from mailsettings.domain.connection_test import ProbeReport
from mailsettings.domain.errors import StoreUnavailable
from mailsettings.domain.metrics import Gauge
from mailsettings.domain.monitoring import Health
from mailsettings.use_cases.ports import Meter

GaugeSource = Callable[[], Awaitable[Sequence[Gauge]]]
"""Returns current gauges at any moment. Raises `StoreUnavailable`."""


class NoMetrics:
    """Counts nothing: for the command line, and for callers that do not measure."""

    def probed(self, source: str, report: ProbeReport) -> None:
        """Count nothing."""

    def login_failed(self, *, delayed: bool) -> None:
        """Count nothing."""

    def checked(self, found: Health) -> None:
        """Count nothing."""

    def delivered(self, *, taken: bool) -> None:
        """Count nothing."""

    async def exposition(self, _gauges: Sequence[Gauge]) -> bytes:
        """Return no text."""
        return b""


NO_METRICS = NoMetrics()


class ReadMetrics:
    """Combines the counters in *metrics* with the current gauges of the *sources*.

    A source reads the database at each request, so every process returns the same gauges.
    """

    def __init__(self, metrics: Meter, sources: Sequence[GaugeSource] = ()) -> None:
        self._metrics = metrics
        self._sources = sources

    async def __call__(self, caller: Principal) -> bytes:
        """Return the metrics in Prometheus' text format, without unavailable sources.

        Raises `PermissionDenied`.
        """
        caller.require(Permission.METRICS_READ)
        return await self.for_status()

    async def for_status(self) -> bytes:
        """Return the same for the status listener, which only the network guards."""
        gauges: list[Gauge] = []
        for source in self._sources:
            with suppress(StoreUnavailable):
                gauges.extend(await source())
        return await self._metrics.exposition(gauges)
