"""One warning when an outage begins, one line at its end, and a cause that stays is never hidden."""

import logging

import pytest

from mailsettings.store.database_errors import NO_CONNECTION, POOL_EXHAUSTED, STANDBY, DatabaseProblem
from mailsettings.store.outages import MIN_INTERVAL_SECONDS, Outages

ENDED = DatabaseProblem("the server closed the connection", "Wait.", ended=True)
READ_ONLY = DatabaseProblem("the disk is full", "Make room.", "53100", only_writes=True)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def outages(clock: Clock, caplog: pytest.LogCaptureFixture) -> Outages:
    caplog.set_level(logging.INFO, "mailsettings.database")
    made = Outages(clock)
    made.start_logging()
    return made


def levels(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.levelname for record in caplog.records]


def test_an_outage_is_one_warning_and_one_end(
    outages: Outages, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    for second in range(60):
        clock.now = second
        outages.failed(NO_CONNECTION)
    outages.answered()
    outages.answered()

    assert levels(caplog) == ["WARNING", "INFO"]
    assert caplog.messages[1] == "The database is available again, after 59.0 s."


def test_a_restart_with_several_causes_is_one_outage(outages: Outages, caplog: pytest.LogCaptureFixture) -> None:
    for problem in (NO_CONNECTION, STANDBY, NO_CONNECTION):
        outages.failed(problem)
    outages.answered()

    assert levels(caplog) == ["WARNING", "INFO"]


def test_the_cause_of_an_ended_connection_is_the_next(outages: Outages, caplog: pytest.LogCaptureFixture) -> None:
    for problem in (ENDED, NO_CONNECTION, NO_CONNECTION):
        outages.failed(problem)
    outages.answered()

    assert levels(caplog) == ["WARNING", "INFO"]
    assert NO_CONNECTION.cause in caplog.messages[0]


@pytest.mark.parametrize("times", [1, 2])
def test_an_ended_connection_alone_is_logged_too(
    outages: Outages, caplog: pytest.LogCaptureFixture, times: int
) -> None:
    for _ in range(times):
        outages.failed(ENDED)
    outages.answered()

    assert levels(caplog) == ["WARNING", "INFO"]
    assert ENDED.cause in caplog.messages[0]


def test_a_cause_that_takes_over_for_long_is_logged(
    outages: Outages, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    outages.failed(NO_CONNECTION)
    for second in range(MIN_INTERVAL_SECONDS * 3):
        clock.now = second
        outages.failed(STANDBY)

    assert [STANDBY.cause in message for message in caplog.messages] == [False, True]


def test_a_pool_that_is_now_and_then_full_does_not_flood(
    outages: Outages, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    for tenth in range(10 * MIN_INTERVAL_SECONDS):
        clock.now = tenth / 10
        outages.failed(POOL_EXHAUSTED)
        outages.answered()

    assert levels(caplog) == ["WARNING", "INFO"]


def test_two_outages_are_two_warnings(outages: Outages, clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    outages.failed(NO_CONNECTION)
    outages.answered()
    outages.failed(STANDBY)
    outages.answered()
    clock.now = MIN_INTERVAL_SECONDS
    outages.failed(STANDBY)
    outages.answered()

    assert levels(caplog) == ["WARNING", "INFO"] * 3


def test_only_a_write_ends_an_outage_of_writes(outages: Outages, caplog: pytest.LogCaptureFixture) -> None:
    outages.failed(READ_ONLY)
    outages.answered()
    during = levels(caplog)
    outages.answered(by_write=True)

    assert during == ["WARNING"]
    assert levels(caplog) == ["WARNING", "INFO"]
    assert caplog.messages[0] == "The database cannot be written: the disk is full (SQLSTATE 53100). Make room."


def test_commands_log_nothing_but_know_the_cause(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    outages = Outages(clock)
    outages.failed(STANDBY)

    assert outages.problem == STANDBY
    assert caplog.records == []
