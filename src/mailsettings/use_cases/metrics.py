"""Metrics of the service for monitoring systems."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from mailsettings.domain.access import Permission, Principal
from mailsettings.domain.connection_test import ProbeReport
from mailsettings.domain.errors import StoreUnavailable
from mailsettings.domain.metrics import Exposition, Gauge
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

    async def exposition(self, _gauges: Sequence[Gauge], _accept: str = "", /) -> Exposition:
        """Return no text."""
        return Exposition(b"", "text/plain")


NO_METRICS = NoMetrics()


class ReadMetrics:
    """Combines the counters in *metrics* with the current gauges of the *sources*.

    A source reads the database at each request, so every process returns the same gauges.
    """

    def __init__(self, metrics: Meter, sources: Sequence[GaugeSource] = ()) -> None:
        self._metrics = metrics
        self._sources = sources

    async def __call__(self, caller: Principal, accept: str = "") -> Exposition:
        """Return the metrics in a format that *accept* names, without unavailable sources.

        Raises `PermissionDenied`.
        """
        caller.require(Permission.METRICS_READ)
        return await self._all(accept)

    async def for_status(self) -> bytes:
        """Return the same as plain text for the status listener, which only the network guards."""
        return (await self._all("")).content

    async def _all(self, accept: str) -> Exposition:
        # All at once: in an outage of the database each of them waits for it as long as it may.
        read = await asyncio.gather(*map(_read, self._sources))
        return await self._metrics.exposition([gauge for gauges in read for gauge in gauges], accept)


async def _read(source: GaugeSource) -> Sequence[Gauge]:
    try:
        return await source()
    except StoreUnavailable:
        return ()
