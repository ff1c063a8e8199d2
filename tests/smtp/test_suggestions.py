"""Every suggestion can be carried out, and a report says when the scan found nothing better."""

from dataclasses import replace
from typing import Any

import pytest

from mailsettings.cli.testing.probing import PROBE_VOCABULARY, STORED_VOCABULARY
from mailsettings.dialects.checkmarx.translate import VOCABULARY
from mailsettings.domain.connection_test import (
    FailureCode,
    ProbeBegun,
    ProbeFailure,
    ProbeProgress,
    SettingStep,
    SuggestedChange,
)
from mailsettings.domain.findings import FAILURES, failure
from mailsettings.domain.mail_server import ConnectionSecurity, MailServer, PasswordAuthentication
from mailsettings.domain.setting import SERVICE_SETTINGS, Setting
from mailsettings.domain.values import Secret
from mailsettings.web.report import Vocabulary

from support.smtp_server import HOST, SENDER, USERNAME, Behaviour, real_server, says, scripted_server

NONE, IMPLICIT = ConnectionSecurity.NONE, ConnectionSecurity.IMPLICIT_TLS
LOGIN = PasswordAuthentication(USERNAME, Secret("canary-password-3c1d"))


async def test_a_login_is_never_sent_to_unencrypted_ports(make_prober: Any) -> None:
    """Nothing can be suggested for the setting, so the steps say what else helps."""
    async with real_server(Behaviour(NONE, "canary-password-3c1d")) as server:
        report = await make_prober().probe(replace(server.settings(NONE, LOGIN), security=IMPLICIT), None)

    assert report.failure is not None
    assert report.failure.code is FailureCode.WRONG_CONNECTION_SECURITY
    assert [change.suggested for change in report.failure.changes] == [None]
    assert "port with encryption" in report.failure.steps[0]
    assert "suggested" not in " ".join(map(str, report.failure.steps))


@pytest.mark.parametrize("code", FailureCode)
def test_no_step_refers_to_an_optional_suggestion(code: FailureCode) -> None:
    assert "as suggested" not in " ".join(map(str, FAILURES[code].steps))


def found(code: FailureCode, *settings: Setting) -> ProbeFailure:
    """A failure of *code* that points at *settings*."""
    changes = tuple(SuggestedChange(setting) for setting in settings)
    return failure(code, FAILURES[code].stages[0], changes=changes)


@pytest.mark.parametrize("code", FailureCode)
def test_checkmarx_reports_name_the_place_of_missing_fields(code: FailureCode) -> None:
    bound = [step for step in FAILURES[code].steps if isinstance(step, SettingStep)]
    absent = {step.text for step in bound if step.setting not in VOCABULARY.fields}
    told = VOCABULARY.steps(found(code))

    assert not absent & set(told)
    assert bool(absent) == any("this API has no field" in step for step in told)


@pytest.mark.parametrize(
    "words", [VOCABULARY, STORED_VOCABULARY, PROBE_VOCABULARY], ids=["Checkmarx", "stored", "probe"]
)
def test_service_settings_have_one_name_everywhere(words: Vocabulary) -> None:
    changes = words.changes(found(FailureCode.EHLO_NAME_REFUSED, *SERVICE_SETTINGS))

    assert [change.field for change in changes] == list(SERVICE_SETTINGS.values())


def test_a_field_is_named_once() -> None:
    login = found(FailureCode.RELAY_REFUSED, Setting.AUTHENTICATION, Setting.USERNAME, Setting.PASSWORD)

    assert [change.field for change in VOCABULARY.changes(login)] == ["username", "password"]
    assert [change.field for change in PROBE_VOCABULARY.changes(login)] == ["--username", "the password"]


async def test_a_stage_printed_while_testing_contains_no_secret(make_prober: Any) -> None:
    events: list[ProbeProgress] = []
    secret = "canary-password-3c1d"
    offers = f"250-{secret}.example.org\r\n250-{secret.upper()}\r\n250 AUTH PLAIN".encode()
    async with scripted_server(says(b"220 hello", offers, b"235 Yes", b"250 OK")) as server:
        settings = MailServer(HOST, server.port, NONE, SENDER, LOGIN)
        report = await make_prober().probe(settings, None, events.append)

    begun, *stages = events
    assert begun == ProbeBegun(tuple(stage.stage for stage in report.stages))
    assert list(report.stages) == stages
    assert secret not in repr(stages).lower()
