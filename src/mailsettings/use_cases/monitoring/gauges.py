"""What the database says of monitoring, of waiting events and of backups, as gauges.

Everything comes from the database, so every process reports the same. A mail server is a label by its id, which
the service assigned: users choose names and hosts, so only a setting of the operator shows them.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from mailsettings.domain.audit_log import Action, AuditFilter, AuditOutcome
from mailsettings.domain.metrics import Gauge
from mailsettings.domain.monitoring import Health, MonitoredServer, MonitoringSummary, days_left, expiry_time
from mailsettings.store.database import SQLStore
from mailsettings.store.transaction import Transaction

MAX_SERVERS = 500
"""Mail servers with gauges of their own. Of more servers those come first that an alarm concerns."""

SERVER_LABELS = ("mail_server",)
SERVERS = ("monitored_servers", "Stored mail servers by health.", ("health",))
CERTIFICATE = ("certificate_days_left", "Whole days until the first certificate of a mail server expires.")
SECRET = ("secret_days_left", "Whole days until the first stored secret expires, of secrets with a known date.")
LAST_CHECK = ("monitoring_last_check_timestamp_seconds", "When a scheduled check last ended.")
OLDEST_CHECK = (
    "monitoring_oldest_check_timestamp_seconds",
    "When the enabled mail server was checked that has waited longest for its next check.",
)
ACTIVE = ("monitoring_active", "1 while a process runs the scheduled checks, 0 otherwise.")
INTERVAL = ("monitoring_interval_seconds", "Seconds between two checks of a mail server; 0 without monitoring.")
WAITING = ("webhook_waiting_events", "Events that wait for delivery to the webhook.")
OLDEST_EVENT = (
    "webhook_oldest_event_timestamp_seconds",
    "When the oldest event arose that waits for the webhook.",
)
BACKUP = ("last_backup_timestamp_seconds", "When `mailsettings backup` last finished a backup of this database.")
SERVER_FAILING = (
    "mail_server_failing",
    "1 while the scheduled checks of the mail server fail, 0 otherwise.",
    SERVER_LABELS,
)
SERVER_LAST_CHECK = (
    "mail_server_last_check_timestamp_seconds",
    "When the last scheduled check of the mail server ended.",
    SERVER_LABELS,
)
SERVER_CERTIFICATE = (
    "mail_server_certificate_days_left",
    "Whole days until the certificate of the mail server expires.",
    SERVER_LABELS,
)
SERVER_SECRET = (
    "mail_server_secret_days_left",  # the name of a metric
    "Whole days until the stored secret of the mail server expires, if the date is known.",
    SERVER_LABELS,
)
SERVER_INFO = (
    "mail_server_info",
    "1, for the name and the host of a mail server; only with `MAILSETTINGS_METRICS_SERVER_NAMES`.",
    (*SERVER_LABELS, "name", "host"),
)

Described = tuple[str, str] | tuple[str, str, tuple[str, ...]]
ALL_GAUGES: Sequence[Described] = (
    *(SERVERS, CERTIFICATE, SECRET, LAST_CHECK, OLDEST_CHECK, ACTIVE, INTERVAL, WAITING, OLDEST_EVENT, BACKUP),
    *(SERVER_FAILING, SERVER_LAST_CHECK, SERVER_CERTIFICATE, SERVER_SECRET, SERVER_INFO),
)
"""Name, meaning and labels of each gauge; docs/metrics.md is generated from this list."""


class StateGauges:
    """The gauges of *store*; *interval* is that of monitoring, and *with_names* adds names and hosts."""

    def __init__(self, store: SQLStore, interval: int | None = None, *, with_names: bool = False) -> None:
        self._store = store
        self._interval = interval
        self._with_names = with_names

    async def __call__(self) -> Sequence[Gauge]:
        """Return all gauges; those of unknown dates have no value. Raises `StoreUnavailable`."""
        async with self._store.reading() as view:
            summary = await view.monitoring.summary()
            servers = await view.monitoring.by_urgency(MAX_SERVERS)
            waiting, oldest_event = await view.outbox.backlog()
            backup = await _last_backup(view)
        return [
            *_summary_gauges(summary),
            _single(INTERVAL, self._interval or 0),
            _single(WAITING, waiting),
            _single(OLDEST_EVENT, oldest_event),
            _single(BACKUP, backup),
            *_server_gauges(servers, summary.now),
            *([_server_names(servers)] if self._with_names else []),
        ]


async def _last_backup(view: Transaction) -> float | None:
    made = AuditFilter(action=Action.BACKUP_MAKE, outcome=AuditOutcome.DONE)
    entries = await view.audit.newest(made, None, 1)
    return datetime.fromisoformat(entries[0].at).timestamp() if entries else None


def _summary_gauges(summary: MonitoringSummary) -> Iterator[Gauge]:
    yield Gauge(SERVERS[0], SERVERS[1], {(health.value,): n for health, n in summary.servers.items()}, SERVERS[2])
    yield _single(CERTIFICATE, summary.certificate_days_left)
    yield _single(SECRET, summary.secret_days_left)
    yield _single(LAST_CHECK, summary.checked_at)
    yield _single(OLDEST_CHECK, summary.oldest_checked_at)
    yield _single(ACTIVE, int(summary.has_leader))


def _single(described: tuple[str, str], value: float | None) -> Gauge:
    return Gauge(*described, {} if value is None else {(): value})


def _server_gauges(servers: Sequence[MonitoredServer], now: float) -> Iterator[Gauge]:
    failing = {each.server_id: float(each.health is Health.FAILING) for each in servers}
    checked = {each.server_id: each.checked_at for each in servers}
    certificates = {each.server_id: _days_left(each.certificate_ends_at, now) for each in servers}
    secrets = {
        each.server_id: _days_left(expiry_time(each.secret_ends_on), now)
        for each in servers
        if each.secret_ends_on is not None
    }
    yield _by_server(SERVER_FAILING, failing)
    yield _by_server(SERVER_LAST_CHECK, checked)
    yield _by_server(SERVER_CERTIFICATE, certificates)
    yield _by_server(SERVER_SECRET, secrets)


def _by_server(described: tuple[str, str, tuple[str, ...]], values: Mapping[int, float | None]) -> Gauge:
    name, meaning, labels = described
    return Gauge(name, meaning, {(str(id_),): each for id_, each in values.items() if each is not None}, labels)


def _days_left(ends_at: float | None, now: float) -> float | None:
    return None if ends_at is None else days_left(ends_at, now)


def _server_names(servers: Sequence[MonitoredServer]) -> Gauge:
    name, meaning, labels = SERVER_INFO
    return Gauge(name, meaning, {(str(each.server_id), each.name, each.host): 1 for each in servers}, labels)
