"""Scheduled checks of mail servers: what a check found, and which events follow. Pure: the caller gives the time.

After a first failed check the failure is unconfirmed, because mail servers restart and networks fail for moments;
a second failed check in a row is an event. A recovery is an event at once. The expiry of a certificate or secret
is announced once at each of three distances. Events wait in the outbox for their delivery to the webhook.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from enum import StrEnum

from mailsettings.domain.connection_test import Outcome, ProbeReport
from mailsettings.domain.mail_server import StoredMailServer
from mailsettings.domain.observation import EXPIRES_SOON_DAYS, Certificate

MINUTE, HOUR = 60, 3600
# Increasing delays, as the Standard Webhooks specification proposes in "Deliverability and reliability".
RETRY_DELAYS_SECONDS = (
    *(5, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR),
    *(10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR),
)
"""Seconds to wait after each failed attempt; there is one more attempt than delays."""
MAX_EVENT_AGE_SECONDS = 4 * 24 * HOUR
"""An older event is not delivered any more, however few attempts it had."""
MAX_WAITING_EVENTS = 10_000


@dataclass(frozen=True, slots=True)
class WaitingEvent:
    """An event with the id that it keeps at each attempt; `body` is sent byte for byte."""

    id: str
    created_at: float
    body: str
    attempts: int = 0


def next_attempt(event: WaitingEvent, now: float) -> float | None:
    """Return the time of the next attempt after a failed attempt; None to give up.

    `event.attempts` counts the attempts before the failed one.
    """
    if event.attempts >= len(RETRY_DELAYS_SECONDS) or now - event.created_at > MAX_EVENT_AGE_SECONDS:
        return None
    return now + RETRY_DELAYS_SECONDS[event.attempts]


ANNOUNCED_DAYS = (EXPIRES_SOON_DAYS, 7, 1)
MAX_ANNOUNCED = 16
"""How many announced certificates and secrets are remembered per server; several machines may share its name."""
DAY_SECONDS = 86400


class Health(StrEnum):
    """The health of a mail server according to scheduled checks."""

    UNCHECKED = "unchecked"
    """Not checked yet, or not since its settings were changed."""
    WORKING = "working"
    UNCONFIRMED = "unconfirmed"
    """The last check failed, and the check before it passed."""
    FAILING = "failing"
    DISABLED = "disabled"
    """Not checked until it is enabled."""


class EventType(StrEnum):
    """The types of events: stable names for programs."""

    FAILING = "mail_server.failing"
    RECOVERED = "mail_server.recovered"
    CERTIFICATE_EXPIRING = "mail_server.certificate_expiring"
    SECRET_EXPIRING = "mail_server.secret_expiring"
    RELAY_LOGIN_REFUSED = "mail_server.relay_login_refused"
    """The mail server refuses the login of the relay, with the stored settings."""
    RELAY_LOGIN_RECOVERED = "mail_server.relay_login_recovered"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of one check; times are in seconds since the epoch."""

    server_id: int
    version: int
    host: str
    port: int
    stage: str | None = None
    code: str | None = None
    certificate: Certificate | None = None
    """The server's own certificate, if it was trusted."""

    @property
    def works(self) -> bool:
        """Whether the check passed."""
        return self.code is None


@dataclass(frozen=True, slots=True)
class MonitoringState:
    """The stored state of one server; times are in seconds since the epoch.

    `announced` maps each certificate and secret to the smallest number of days that was announced for it.
    """

    server_id: int
    version: int
    works: bool
    stage: str | None
    code: str | None
    since: float
    checked_at: float
    certificate_ends_at: float | None = None
    announced: Mapping[str, int] = field(default_factory=dict)

    @property
    def health(self) -> Health:
        """The health that follows from the checks."""
        return health(works=self.works, since=self.since, checked_at=self.checked_at)


@dataclass(frozen=True, slots=True)
class MonitoringEvent:
    """One event of one server; `days_left` and `ends_at` are set for the expiry of a certificate or secret."""

    type: EventType
    result: CheckResult
    days_left: int | None = None
    ends_at: float | None = None


@dataclass(frozen=True, slots=True)
class MonitoredServer:
    """A stored server with the results of its checks; None where no result is known."""

    server_id: int
    host: str
    port: int
    health: Health
    stage: str | None
    code: str | None
    since: float | None
    checked_at: float | None
    certificate_ends_at: float | None
    secret_ends_on: date | None
    name: str = ""


@dataclass(frozen=True, slots=True)
class MonitoringSummary:
    """All stored servers together at `now`; `has_leader` tells whether a process runs the checks."""

    now: float
    servers: Mapping[Health, int]
    certificate_ends_at: float | None
    secret_ends_on: date | None
    checked_at: float | None
    oldest_checked_at: float | None
    has_leader: bool

    @property
    def certificate_days_left(self) -> int | None:
        """Whole days until the first certificate expires; negative after that."""
        return None if self.certificate_ends_at is None else days_left(self.certificate_ends_at, self.now)

    @property
    def secret_days_left(self) -> int | None:
        """Whole days until the first secret expires, of those with a known date; negative after that."""
        return None if self.secret_ends_on is None else days_left(expiry_time(self.secret_ends_on), self.now)


def check_result(stored: StoredMailServer, report: ProbeReport) -> CheckResult:
    """Return what *report* says about *stored*.

    Only the server's own certificate counts: the others in the chain are not necessarily used for verification.
    """
    passed = [stage.observed.tls for stage in report.stages if stage.outcome is Outcome.PASSED]
    own = [certificate for tls in passed if tls is not None for certificate in tls.chain[:1]]
    failure = report.failure
    return CheckResult(
        stored.id,
        stored.version,
        stored.server.host,
        stored.server.port,
        stage=None if failure is None else str(failure.stage),
        code=None if failure is None else str(failure.code),
        certificate=own[0] if own else None,
    )


def evaluate(
    before: MonitoringState | None, result: CheckResult, secret_ends_on: date | None, now: float
) -> tuple[MonitoringState, list[MonitoringEvent]]:
    """Return the new state of the server at *now*, and the events that follow."""
    announced = dict(before.announced) if before else {}
    ending = list(_expiry_events(result, secret_ends_on, now, announced))
    state = MonitoringState(
        result.server_id,
        result.version,
        result.works,
        result.stage,
        result.code,
        since=before.since if before and before.works is result.works else now,
        checked_at=now,
        certificate_ends_at=_certificate_end(before, result),
        announced=dict(list(announced.items())[-MAX_ANNOUNCED:]),
    )
    return state, [*_health_events(before, state, result), *ending]


def health(*, works: bool, since: float, checked_at: float) -> Health:
    """Return the health after checks that all had the same result from *since* until *checked_at*."""
    if works:
        return Health.WORKING
    # Equal times mean that only one check failed so far.
    return Health.FAILING if checked_at > since else Health.UNCONFIRMED


def days_left(ends_at: float, now: float) -> int:
    """Return the whole days until *ends_at*; negative after that."""
    return int((ends_at - now) // DAY_SECONDS)


def expiry_time(day: date) -> float:
    """Return the time when a secret expires that expires on *day*: its start, because the hour is unknown."""
    return datetime.combine(day, time(), UTC).timestamp()


def _health_events(
    before: MonitoringState | None, state: MonitoringState, result: CheckResult
) -> Iterator[MonitoringEvent]:
    # Unconfirmed failures cause no event, so neither does their end.
    failed = before is not None and before.health is Health.FAILING
    if state.health is Health.FAILING and not failed:
        yield MonitoringEvent(EventType.FAILING, result)
    if state.health is Health.WORKING and failed:
        yield MonitoringEvent(EventType.RECOVERED, result)


def _expiry_events(
    result: CheckResult, secret_ends_on: date | None, now: float, announced: dict[str, int]
) -> Iterator[MonitoringEvent]:
    if result.certificate is not None:
        # By fingerprint: a renewed certificate is announced for itself, the old one not again.
        key, end = f"certificate {result.certificate.sha256}", result.certificate.not_after.timestamp()
        yield from _unless_announced(
            MonitoringEvent(EventType.CERTIFICATE_EXPIRING, result, days_left(end, now), end), key, announced
        )
    if secret_ends_on is not None:
        key, end = f"secret {secret_ends_on}", expiry_time(secret_ends_on)
        yield from _unless_announced(
            MonitoringEvent(EventType.SECRET_EXPIRING, result, days_left(end, now), end), key, announced
        )


def _unless_announced(about: MonitoringEvent, key: str, announced: dict[str, int]) -> Iterator[MonitoringEvent]:
    """Yield *about* if it is nearer than anything announced for *key* before; record that in *announced*."""
    reached = [days for days in ANNOUNCED_DAYS if about.days_left is not None and about.days_left < days]
    if reached and min(reached) < announced.get(key, EXPIRES_SOON_DAYS + 1):
        announced.pop(key, None)  # so that the key moves to the end and is forgotten last
        announced[key] = min(reached)
        yield about


def _certificate_end(before: MonitoringState | None, result: CheckResult) -> float | None:
    """Return the end of the certificate; that of the last check if this check ended before TLS."""
    if result.certificate is not None:
        return result.certificate.not_after.timestamp()
    return before.certificate_ends_at if before and before.version == result.version else None
