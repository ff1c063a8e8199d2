"""How the service is doing, in figures, for those who look from outside."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

from mailsettings.domain.access import Permission, Principal
from mailsettings.domain.connection_test import ProbeReport
from mailsettings.domain.errors import StoreUnavailable
from mailsettings.domain.metrics import Gauge
from mailsettings.domain.monitoring import Health
from mailsettings.use_cases.ports import Meter

GaugeSource = Callable[[], Awaitable[Sequence[Gauge]]]
"""What can be asked at any moment. Raises `StoreUnavailable`."""


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
    """What was counted in *metrics*, and what the *sources* say at the moment.

    A source is asked each time, so that what it reads from the database is the same whichever process answers.
    """

    def __init__(self, metrics: Meter, sources: Sequence[GaugeSource] = ()) -> None:
        self._metrics = metrics
        self._sources = sources

    async def __call__(self, caller: Principal) -> bytes:
        """As Prometheus reads it; a source whose database is away is left out. Raises `PermissionDenied`."""
        caller.require(Permission.METRICS_READ)
        gauges: list[Gauge] = []
        for source in self._sources:
            with suppress(StoreUnavailable):
                gauges.extend(await source())
        return await self._metrics.exposition(gauges)
