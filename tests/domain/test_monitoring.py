"""Which events follow from scheduled checks of a mail server, and when."""

from collections.abc import Sequence
from datetime import UTC, date, datetime

import pytest

from mailsettings.domain.connection_test import Outcome, ProbeReport, ProbeStage, StageObservation, StageReport
from mailsettings.domain.mail_server import ConnectionSecurity, MailServer, Sender, StoredMailServer
from mailsettings.domain.monitoring import (
    DAY_SECONDS,
    MAX_ANNOUNCED,
    MAX_EVENT_AGE_SECONDS,
    RETRY_DELAYS_SECONDS,
    CheckResult,
    EventType,
    Health,
    MonitoringEvent,
    MonitoringState,
    WaitingEvent,
    check_result,
    days_left,
    evaluate,
    expiry_time,
    next_attempt,
)
from mailsettings.domain.observation import Certificate, TLSSession

DAY = DAY_SECONDS
NOW = 1_800_000_000.0
STORED = StoredMailServer(
    7, 3, MailServer("mail.example.org", 587, ConnectionSecurity.STARTTLS, Sender("a@example.org"))
)


def seen(
    works: bool = True, ends_in_days: float | None = None, name: str = "first", version: int = 3
) -> CheckResult:
    certificate = None
    if ends_in_days is not None:
        end = datetime.fromtimestamp(NOW + ends_in_days * DAY, UTC)
        certificate = Certificate("CN=a", (), "CN=b", end, end, name, "")
    stage, code = (None, None) if works else ("connect", "connection_refused")
    return CheckResult(7, version, "mail.example.org", 587, stage, code, certificate)


def told(*checks: CheckResult, secret_ends_on: date | None = None, gap: float = 60) -> list[list[MonitoringEvent]]:
    """Return the events that follow from each of *checks*, in sequence."""
    state: MonitoringState | None = None
    heard = []
    for number, check in enumerate(checks):
        state, events = evaluate(state, check, secret_ends_on, NOW + number * gap)
        heard.append(events)
    return heard


def types(heard: Sequence[Sequence[MonitoringEvent]]) -> list[list[EventType]]:
    return [[one.type for one in check] for check in heard]


@pytest.mark.parametrize(
    ("checks", "expected"),
    [
        ("w", "-"),
        ("www", "---"),
        ("f", "-"),
        ("ff", "-F"),
        ("fff", "-F-"),
        ("wf", "--"),
        ("wff", "--F"),
        ("wffffw", "--F--W"),
        ("wffwffw", "--FW-FW"),
        ("wfwfwfw", "-------"),
        ("ffwfw", "-FW--"),
    ],
)
def test_the_second_failure_and_the_first_success_are_announced(checks: str, expected: str) -> None:
    words = {"-": [], "F": [EventType.FAILING], "W": [EventType.RECOVERED]}

    assert types(told(*(seen(works=check == "w") for check in checks))) == [words[one] for one in expected]


def test_a_working_server_is_unconfirmed_before_it_is_failing() -> None:
    state: MonitoringState | None = None
    found = []
    for number, works in enumerate((True, False, False, True)):
        state, _ = evaluate(state, seen(works), None, NOW + number)
        found.append((state.health, state.since - NOW))

    assert found == [(Health.WORKING, 0), (Health.UNCONFIRMED, 1), (Health.FAILING, 1), (Health.WORKING, 3)]


def test_another_failure_code_is_stored_and_not_announced() -> None:
    before, _ = evaluate(None, seen(works=False), None, NOW)
    before, _ = evaluate(before, seen(works=False), None, NOW + 1)
    after, heard = evaluate(before, CheckResult(7, 3, "h", 25, "authenticate", "smtp_auth_failed"), None, NOW + 2)

    assert (after.stage, after.code, after.since, heard) == ("authenticate", "smtp_auth_failed", NOW, [])


def test_failure_fixed_by_new_settings_is_announced_as_over() -> None:
    assert types(told(seen(False), seen(False), seen(version=4))) == [
        [],
        [EventType.FAILING],
        [EventType.RECOVERED],
    ]


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        ([31, 30.5, 29.9, 29, 8, 6.9, 6, 0.9, 0.1, -3], [None, None, 29, None, None, 6, None, 0, None, None]),
        ([5, 4, 0.5], [5, None, 0]),
        ([-2, -3], [-2, None]),
    ],
)
def test_expiry_of_a_certificate_is_announced_once_per_distance(
    days: list[float], expected: list[int | None]
) -> None:
    heard = told(*(seen(ends_in_days=left) for left in days), gap=0)

    assert [one[0].days_left if one else None for one in heard] == expected
    assert {two.type for one in heard for two in one} <= {EventType.CERTIFICATE_EXPIRING}


def test_alternating_certificates_are_announced_once_each() -> None:
    first, second = seen(ends_in_days=20, name="first"), seen(ends_in_days=20, name="second")

    assert types(told(first, second, first, second, first)) == [[EventType.CERTIFICATE_EXPIRING]] * 2 + [[]] * 3


def test_the_memory_of_announced_certificates_is_bounded() -> None:
    state: MonitoringState | None = None
    for number in range(100):
        state, _ = evaluate(state, seen(ends_in_days=20, name=str(number)), None, NOW)

    assert state is not None
    assert list(state.announced) == [f"certificate {number}" for number in range(100 - MAX_ANNOUNCED, 100)]


def test_the_last_seen_expiry_stays_until_the_settings_change() -> None:
    before, _ = evaluate(None, seen(ends_in_days=90), None, NOW)
    away, _ = evaluate(before, seen(works=False), None, NOW + 1)
    changed, _ = evaluate(before, seen(works=False, version=4), None, NOW + 1)

    assert (away.certificate_ends_at, changed.certificate_ends_at) == (NOW + 90 * DAY, None)


def test_secret_expiry_is_announced_like_certificate_expiry() -> None:
    today = datetime.fromtimestamp(NOW, UTC).date()
    near, later = today.replace(day=today.day + 3), date(2040, 1, 1)
    state, heard = evaluate(None, seen(), near, NOW)
    _, again = evaluate(state, seen(), near, NOW + 60)
    _, never = evaluate(state, seen(), later, NOW + 60)

    assert [(one.type, one.days_left) for one in heard] == [
        (EventType.SECRET_EXPIRING, days_left(expiry_time(near), NOW))
    ]
    assert (again, never) == ([], [])


def test_only_a_trusted_certificate_of_the_server_itself_counts() -> None:
    ends = [datetime(year, 1, 1, tzinfo=UTC) for year in (2030, 2020)]
    chain = tuple(Certificate("CN=a", (), "CN=b", end, end, str(end.year), "") for end in ends)
    observed = StageObservation(tls=TLSSession("TLSv1.3", "", chain))

    def found(outcome: Outcome) -> Certificate | None:
        report = ProbeReport((StageReport(ProbeStage.SECURE, outcome, observed=observed),))
        return check_result(STORED, report).certificate

    assert found(Outcome.PASSED) == chain[0]
    assert found(Outcome.FAILED) is None


def test_delivery_is_retried_with_growing_delays_then_given_up() -> None:
    tries, moment = [], NOW
    event: WaitingEvent | None = WaitingEvent("msg_1", NOW, "{}")
    while event is not None:
        later = next_attempt(event, moment)
        tries.append(None if later is None else later - moment)
        event = None if later is None else WaitingEvent("msg_1", NOW, "{}", event.attempts + 1)
        moment = later or moment

    assert tries == [*RETRY_DELAYS_SECONDS, None]
    assert list(RETRY_DELAYS_SECONDS) == sorted(RETRY_DELAYS_SECONDS)
    assert moment - NOW < MAX_EVENT_AGE_SECONDS


def test_an_old_event_is_given_up_regardless_of_attempts() -> None:
    assert next_attempt(WaitingEvent("msg_1", NOW, "{}"), NOW + MAX_EVENT_AGE_SECONDS + 1) is None
