"""Observations of a server, in the words and numbers of reports."""

from datetime import UTC, datetime, timedelta

import pytest

from mailsettings.domain.connection_test import SettingStep
from mailsettings.domain.mail_server import AmbientCredentials
from mailsettings.domain.observation import AddressAttempt, AddressOutcome, Certificate, ServerGreeting, SMTPReply
from mailsettings.domain.setting import Setting

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def certificate(issuer: str = "CN=a", left: timedelta = timedelta(1)) -> Certificate:
    return Certificate("CN=a", (), issuer, NOW - timedelta(9), NOW + left, "00", "")


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        (SMTPReply(250, "2.0.0", "Ok"), "250 2.0.0 Ok"),
        (SMTPReply(250, None, "Ok"), "250 Ok"),
        (SMTPReply(250, None, ""), "250"),
    ],
    ids=str,
)
def test_a_reply_reads_as_on_the_wire(reply: SMTPReply, text: str) -> None:
    assert str(reply) == text


def test_reply_summary_has_the_codes_and_the_informative_text() -> None:
    assert SMTPReply(550, "5.7.1", "Relaying denied").summary == "550 5.7.1 Relaying denied"


@pytest.mark.parametrize(
    ("attempt", "outcome"),
    [
        (AddressAttempt("192.0.2.1", 1, ""), AddressOutcome.CONNECTED),
        (AddressAttempt("192.0.2.1", 1, "refused"), AddressOutcome.FAILED),
        (AddressAttempt("192.0.2.1", 1, None), AddressOutcome.NOT_NEEDED),
        (AddressAttempt("192.0.2.1", 0, None, tried=False), AddressOutcome.NOT_TRIED),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_report_states_the_result_for_each_address(attempt: AddressAttempt, outcome: AddressOutcome) -> None:
    assert attempt.outcome == outcome


def test_a_step_with_a_setting_reads_as_its_text() -> None:
    assert str(SettingStep(Setting.CLIENT_ID, "Log in by OAuth2.")) == "Log in by OAuth2."


@pytest.mark.parametrize(("problem", "connected"), [("", True), ("refused", False), (None, False)])
def test_only_an_address_without_a_problem_is_connected(problem: str | None, connected: bool) -> None:
    assert AddressAttempt("192.0.2.1", 1, problem).connected is connected


def test_a_server_offers_what_its_ehlo_listed() -> None:
    greeting = ServerGreeting("mail.example.org", ("STARTTLS",))

    assert greeting.offers("STARTTLS")
    assert not greeting.offers("AUTH")


def test_a_certificate_that_names_itself_is_self_issued() -> None:
    assert certificate().is_self_issued
    assert not certificate("CN=b").is_self_issued


@pytest.mark.parametrize(
    ("left", "days"), [(timedelta(2), 2), (timedelta(hours=47), 1), (timedelta(hours=-1), -1)]
)
def test_days_left_are_whole_and_negative_after_expiry(left: timedelta, days: int) -> None:
    assert certificate(left=left).days_left(NOW) == days


def test_the_login_of_the_machine_needs_no_user_name() -> None:
    assert AmbientCredentials().username is None
