"""What the watch knows, as figures for those who look from outside: of all servers together, none by itself.

Which server it is, is in the log; its id as a label would be a series for each of any number of servers.
"""

from collections.abc import Sequence

from mailsettings.domain.metrics import Gauge
from mailsettings.domain.monitoring import MonitoringSummary
from mailsettings.use_cases.monitoring_status import MonitoringStatus

SERVERS = ("watched_servers", "Stored mail servers, by what the watch knows of them.")
CERTIFICATE = ("certificate_days_left", "Whole days until the first certificate of a mail server ends.")
SECRET = ("secret_days_left", "Whole days until the first stored secret ends, of those whose end is known.")
CHECKED = ("watch_last_check_timestamp_seconds", "When the watch last looked at a mail server.")
LED = ("watch_led", "1 while some process is on watch, 0 otherwise.")


class MonitoringGauges:
    """Asks *status*, which asks the database: each process tells the same."""

    def __init__(self, status: MonitoringStatus) -> None:
        self._status = status

    async def __call__(self) -> Sequence[Gauge]:
        """All of them; a date that is not known is left out. Raises `StoreUnavailable`."""
        return gauges(await self._status.summary())


def gauges(summary: MonitoringSummary) -> Sequence[Gauge]:
    """The figures of *summary*."""
    servers: dict[tuple[str, ...], float] = {(health.value,): number for health, number in summary.servers.items()}
    single = (
        (CERTIFICATE, summary.certificate_days_left),
        (SECRET, summary.secret_days_left),
        (CHECKED, summary.checked_at),
        (LED, int(summary.has_leader)),
    )
    return [
        Gauge(*SERVERS, servers, ("health",)),
        *(Gauge(*what, {} if value is None else {(): value}) for what, value in single),
    ]
