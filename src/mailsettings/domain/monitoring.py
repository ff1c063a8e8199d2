"""Scheduled checks of mail servers: what a check found, and which events follow. Pure: the caller gives the time.

A first failed check only raises a doubt, because mail servers restart and networks fail for moments; the second
one in a row is an event. A recovery is an event at once. The expiry of a certificate or secret is announced once
at each of three distances. Events wait in the outbox for their delivery to the webhook.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from enum import StrEnum

from mailsettings.domain.connection_test import Outcome, ProbeReport
from mailsettings.domain.mail_server import StoredMailServer
from mailsettings.domain.observation import EXPIRES_SOON_DAYS, Certificate

MINUTE, HOUR = 60, 3600
# Growing as the Standard Webhooks specification proposes (its section "Deliverability and reliability").
RETRY_DELAYS_SECONDS = (
    *(5, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR),
    *(10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR),
)
"""Seconds after each failed attempt; there is one attempt more than delays."""
MAX_EVENT_AGE_SECONDS = 4 * 24 * HOUR
"""Nobody wants to hear older news, however few attempts there were."""
MAX_WAITING_EVENTS = 10_000


@dataclass(frozen=True, slots=True)
class WaitingEvent:
    """A message with the id that it keeps at each attempt; `body` is what is sent, byte for byte."""

    id: str
    created_at: float
    body: str
    attempts: int = 0


def next_attempt(event: WaitingEvent, now: float) -> float | None:
    """When to try again after an attempt that has just failed; None: never.

    `event.attempts` are those before it.
    """
    if event.attempts >= len(RETRY_DELAYS_SECONDS) or now - event.created_at > MAX_EVENT_AGE_SECONDS:
        return None
    return now + RETRY_DELAYS_SECONDS[event.attempts]


ANNOUNCED_DAYS = (EXPIRES_SOON_DAYS, 7, 1)
MAX_ANNOUNCED = 16
"""Certificates and secrets of one server that are remembered; a name may be served by several machines."""
DAY_SECONDS = 86400


class Health(StrEnum):
    """How a mail server is, as far as checks on schedule have found out."""

    UNCHECKED = "unchecked"
    """Not looked at yet, or not since its settings were changed."""
    WORKS = "works"
    UNCONFIRMED = "doubtful"
    """The last check failed, and the one before it did not."""
    FAILS = "fails"


class EventType(StrEnum):
    """What is told: stable names, meant for programs."""

    FAILS = "mail_server.fails"
    WORKS = "mail_server.works"
    CERTIFICATE_EXPIRING = "mail_server.certificate_ends"
    SECRET_EXPIRING = "mail_server.secret_ends"  # a name


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What one check found; times in seconds since the epoch."""

    server_id: int
    version: int
    host: str
    port: int
    stage: str | None = None
    code: str | None = None
    certificate: Certificate | None = None
    """The server's own, if it was trusted."""

    @property
    def works(self) -> bool:
        """Whether the check passed."""
        return self.code is None


@dataclass(frozen=True, slots=True)
class MonitoringState:
    """What is known of one server; times in seconds since the epoch.

    `told` has for each certificate and secret the least number of days that was told of it.
    """

    server_id: int
    version: int
    works: bool
    stage: str | None
    code: str | None
    since: float
    checked_at: float
    certificate_ends_at: float | None = None
    told: Mapping[str, int] = field(default_factory=dict)

    @property
    def health(self) -> Health:
        """What its checks come to."""
        return health(works=self.works, since=self.since, checked_at=self.checked_at)


@dataclass(frozen=True, slots=True)
class MonitoringEvent:
    """One piece of news about one server; `days_left` and `ends_at` are about a certificate or secret."""

    news: EventType
    seen: CheckResult
    days_left: int | None = None
    ends_at: float | None = None


@dataclass(frozen=True, slots=True)
class MonitoredServer:
    """A stored server with what is known of it; the times are None where nothing is."""

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


@dataclass(frozen=True, slots=True)
class MonitoringSummary:
    """All stored servers together, at `now`; `has_leader` tells whether some process is on watch."""

    now: float
    servers: Mapping[Health, int]
    certificate_ends_at: float | None
    secret_ends_on: date | None
    checked_at: float | None
    has_leader: bool

    @property
    def certificate_days_left(self) -> int | None:
        """Whole days until the first certificate ends; negative when it has."""
        return None if self.certificate_ends_at is None else days_left(self.certificate_ends_at, self.now)

    @property
    def secret_days_left(self) -> int | None:
        """Whole days until the first secret ends, as far as somebody told us when."""
        return None if self.secret_ends_on is None else days_left(expiry_time(self.secret_ends_on), self.now)


def check_result(stored: StoredMailServer, report: ProbeReport) -> CheckResult:
    """What *report* says about *stored*.

    Of the certificates only the first counts: what else is sent along need not be what the trust goes by.
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
    before: MonitoringState | None, seen: CheckResult, secret_ends_on: date | None, now: float
) -> tuple[MonitoringState, list[MonitoringEvent]]:
    """What is known from *now* on, and what is new about it."""
    told = dict(before.told) if before else {}
    ending = list(_expiry_events(seen, secret_ends_on, now, told))
    state = MonitoringState(
        seen.server_id,
        seen.version,
        seen.works,
        seen.stage,
        seen.code,
        since=before.since if before and before.works is seen.works else now,
        checked_at=now,
        certificate_ends_at=_certificate_end(before, seen),
        told=dict(list(told.items())[-MAX_ANNOUNCED:]),
    )
    return state, [*_health_events(before, state, seen), *ending]


def health(*, works: bool, since: float, checked_at: float) -> Health:
    """What checks come to that have all ended alike from *since* until *checked_at*."""
    if works:
        return Health.WORKS
    return Health.FAILS if checked_at > since else Health.UNCONFIRMED


def days_left(ends_at: float, now: float) -> int:
    """Whole days until then; negative when it is past."""
    return int((ends_at - now) // DAY_SECONDS)


def expiry_time(day: date) -> float:
    """When a secret ends that ends on *day*: as the day begins, for nobody knows at which hour."""
    return datetime.combine(day, time(), UTC).timestamp()


def _health_events(
    before: MonitoringState | None, state: MonitoringState, seen: CheckResult
) -> Iterator[MonitoringEvent]:
    failed = before is not None and before.health is Health.FAILS
    if state.health is Health.FAILS and not failed:
        yield MonitoringEvent(EventType.FAILS, seen)
    if state.health is Health.WORKS and failed:
        yield MonitoringEvent(EventType.WORKS, seen)


def _expiry_events(
    seen: CheckResult, secret_ends_on: date | None, now: float, told: dict[str, int]
) -> Iterator[MonitoringEvent]:
    if seen.certificate is not None:
        key, end = f"certificate {seen.certificate.sha256}", seen.certificate.not_after.timestamp()
        yield from _unless_announced(
            MonitoringEvent(EventType.CERTIFICATE_EXPIRING, seen, days_left(end, now), end), key, told
        )
    if secret_ends_on is not None:
        key, end = f"secret {secret_ends_on}", expiry_time(secret_ends_on)
        yield from _unless_announced(
            MonitoringEvent(EventType.SECRET_EXPIRING, seen, days_left(end, now), end), key, told
        )


def _unless_announced(about: MonitoringEvent, key: str, told: dict[str, int]) -> Iterator[MonitoringEvent]:
    """*about*, if it has come nearer than what was told of the same thing; that is noted in *told*."""
    reached = [days for days in ANNOUNCED_DAYS if about.days_left is not None and about.days_left < days]
    if reached and min(reached) < told.get(key, EXPIRES_SOON_DAYS + 1):
        told.pop(key, None)  # so that it becomes the last one, which is forgotten last
        told[key] = min(reached)
        yield about


def _certificate_end(before: MonitoringState | None, seen: CheckResult) -> float | None:
    """What was seen before still holds for a server that did not get as far as showing a certificate."""
    if seen.certificate is not None:
        return seen.certificate.not_after.timestamp()
    return before.certificate_ends_at if before and before.version == seen.version else None
