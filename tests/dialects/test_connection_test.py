"""A connection test in each API's words: the report, the sentence, and answers that clients can live with."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mailsettings.domain.connection_test import (
    FailureCode,
    Outcome,
    ProbeReport,
    ProbeStage,
    ProbeWarning,
    StageObservation,
    StageReport,
    SuggestedChange,
    WarningCode,
)
from mailsettings.domain.findings import FAILURES, failure
from mailsettings.domain.mail_server import ConnectionSecurity
from mailsettings.domain.observation import AddressAttempt, Certificate, ServerGreeting, SMTPReply, TLSSession
from mailsettings.domain.setting import Setting

from support.fakes import ScriptedProber
from support.service import LIMITS, MAIL_SERVER, SMTP_SETTINGS, Caller
from support.timeouts import GUARD_SECONDS

NOW = datetime.now(UTC)
CERTIFICATE = Certificate(
    "CN=mail.example.org",
    ("mail.example.org",),
    "CN=Authority",
    NOW - timedelta(1),
    NOW + timedelta(40, hours=1),
    "ab" * 32,
    "-----BEGIN CERTIFICATE-----",
)
REPLY = SMTPReply(535, "5.7.8", "Bad credentials")
ATTEMPTS = (
    AddressAttempt("192.0.2.1", 2, "refused"),
    AddressAttempt("192.0.2.2", 3, ""),
    AddressAttempt("192.0.2.3", 1, None),
    AddressAttempt("192.0.2.4", 0, None, tried=False),
)
STAGES = (
    StageReport(ProbeStage.CONNECT, Outcome.PASSED, 3, StageObservation(attempts=ATTEMPTS)),
    StageReport(
        ProbeStage.SECURE, Outcome.PASSED, 5, StageObservation(tls=TLSSession("TLSv1.3", "AES", (CERTIFICATE,)))
    ),
    StageReport(
        ProbeStage.GREET,
        Outcome.PASSED,
        1,
        StageObservation(greeting=ServerGreeting("mail.example.org", ("PIPELINING",), ("PLAIN",), 1000)),
    ),
    StageReport(ProbeStage.SENDER, Outcome.SKIPPED, 0, StageObservation(note="because")),
)
WARNING = ProbeWarning(WarningCode.TLS_BELOW_1_3, "old", Setting.SECURITY)
WORKS = ProbeReport(STAGES, None, (WARNING,), 9)
CHANGE = SuggestedChange(Setting.SECURITY, ConnectionSecurity.NONE, ConnectionSecurity.IMPLICIT_TLS)


@dataclass(frozen=True)
class Dialect:
    """One API: how a test is asked for there, and its words."""

    path: str
    field: str
    none: str
    implicit: str
    members: set[str]


SETTINGS = {"host": "mail.example.org", "port": 25, "fromAddress": "a@example.org", "encryptionType": "None"}
CHECKMARX = Dialect(f"{SMTP_SETTINGS}/testconnection", "encryptionType", "None", "Ssl", {"message", "report"})
ORACLE = Dialect(
    f"{MAIL_SERVER}/actions/test",
    "connectionSecurity.connectionSecurityType",
    "NO_CONNECTION_SECURITY",
    "SSL_TLS_CONNECTION_SECURITY",
    {"code", "message", "report"},
)
ORACLE_SERVER = {
    "host": "mail.example.org",
    "port": 25,
    "sender": {"displayName": "A", "emailAddress": "a@example.org"},
    "auth": {"authType": "NO_AUTH"},
    "connectionSecurity": {"connectionSecurityType": "NO_CONNECTION_SECURITY"},
}
DIALECTS = pytest.mark.parametrize("dialect", [CHECKMARX, ORACLE], ids=["checkmarx", "oracle"])


async def run(api: Caller, dialect: Dialect, **headers: str) -> Any:
    """Ask for a test in this API, of a stored server where it tests that."""
    if dialect is ORACLE:
        await api.send("PUT", MAIL_SERVER, json=ORACLE_SERVER)
        return await api.send("POST", dialect.path, json={"recipient": "to@example.org"}, headers=headers)
    body = SETTINGS | {"recieverEmail": "to@example.org"}
    return await api.send("POST", dialect.path, json=body, headers=headers)


@pytest.fixture
def kind() -> str:
    """One database is enough: the cases differ only in their requests."""
    return "sqlite"


@DIALECTS
@pytest.mark.parametrize("code", FailureCode)
async def test_failed_test_is_a_400_with_sentence_and_report(
    api: Caller, prober: ScriptedProber, dialect: Dialect, code: FailureCode
) -> None:
    stage = FAILURES[code].stages[0]
    found = failure(code, stage, explanation="no.", steps=("Do this.",), changes=(CHANGE,), reply=REPLY)
    prober.report = ProbeReport(STAGES, found, (), 9)
    tested = await run(api, dialect)

    assert tested.status_code == 400
    assert tested.headers["Cache-Control"] == "no-store"
    body = tested.json()
    assert set(body) == dialect.members
    assert body["message"].endswith(
        " failed: no. The server replied: 535 5.7.8 Bad credentials. Do this. "
        f"(Set {dialect.field} to {dialect.implicit})"
    )
    assert body["report"]["failure"] == {
        "code": code,
        "stage": stage,
        "title": FAILURES[code].title,
        "explanation": "no.",
        "steps": ["Do this."],
        "changes": [{"field": dialect.field, "current": dialect.none, "suggested": dialect.implicit}],
        "reply": {"code": 535, "enhancedCode": "5.7.8", "text": "Bad credentials"},
    }


@DIALECTS
async def test_a_success_can_carry_the_report(api: Caller, prober: ScriptedProber, dialect: Dialect) -> None:
    prober.report = WORKS
    tested = await run(api, dialect, Prefer="return=representation")

    assert tested.status_code == 200
    report = tested.json()
    assert (report["succeeded"], report["milliseconds"]) == (True, 9)
    assert [stage["stage"] for stage in report["stages"]] == ["connect", "secure", "greet", "sender"]
    connect, secure, greet, sender = report["stages"]
    assert connect["addresses"] == [
        {"address": "192.0.2.1", "outcome": "refused", "milliseconds": 2},
        {"address": "192.0.2.2", "outcome": "connected", "milliseconds": 3},
        {"address": "192.0.2.3", "outcome": "not needed", "milliseconds": 1},
        {"address": "192.0.2.4", "outcome": "not tried", "milliseconds": 0},
    ]
    [certificate] = secure["tls"]["chain"]
    assert (certificate["daysLeft"], certificate["sha256"]) == (40, "ab" * 32)
    assert greet["greeting"] == {
        "name": "mail.example.org",
        "extensions": ["PIPELINING"],
        "mechanisms": ["PLAIN"],
        "sizeLimit": 1000,
    }
    assert sender == {"stage": "sender", "outcome": "skipped", "milliseconds": 0, "note": "because"}
    assert report["warnings"] == [{"code": "tls_below_1_3", "explanation": "old", "field": dialect.field}]
    assert "failure" not in report


PREFERENCES = {
    "return=representation": True,
    "Return = Representation": True,
    'wait=5, return="representation"': True,
    "return=representation; extra=1": True,
    "return=minimal": False,
    "": False,
}


@pytest.mark.parametrize("prefer", PREFERENCES)
async def test_checkmarx_clients_get_body_only_if_they_prefer_it(
    api: Caller, prober: ScriptedProber, prefer: str
) -> None:
    prober.report = WORKS
    tested = await run(api, CHECKMARX, Prefer=prefer)

    assert (tested.status_code, bool(tested.content)) == (200, PREFERENCES[prefer])
    applied = "return=representation" if PREFERENCES[prefer] else None
    assert tested.headers.get("Preference-Applied") == applied


async def test_settings_unknown_to_api_are_not_named_in_it(api: Caller, prober: ScriptedProber) -> None:
    found = failure(FailureCode.TLS_ISSUER_UNKNOWN, ProbeStage.SECURE)
    prober.report = ProbeReport((), found)
    by_checkmarx = (await run(api, CHECKMARX)).json()
    by_oracle = (await run(api, ORACLE)).json()

    assert by_checkmarx["report"]["failure"]["changes"] == []
    assert [change["field"] for change in by_oracle["report"]["failure"]["changes"]] == [
        "connectionSecurity.tlsCertificateDetails.certificate"
    ]


async def test_an_oauth2_user_name_is_named_by_oracles_field(api: Caller, prober: ScriptedProber) -> None:
    prober.report = ProbeReport((), failure(FailureCode.OAUTH2_LOGIN_REFUSED, ProbeStage.AUTHENTICATE))
    tested = (await run(api, ORACLE)).json()

    assert tested["report"]["failure"]["changes"] == [{"field": "auth.oAuth2Details.username"}]
    assert tested["message"].endswith("(Setting: auth.oAuth2Details.username)")


@pytest.mark.parametrize(
    ("body", "recipient"),
    [(None, None), ({}, None), ({"recipient": None}, None), ({"recipient": "a@example.org"}, "a@example.org")],
)
async def test_oracles_stored_server_is_tested_with_or_without_recipient(
    api: Caller, prober: ScriptedProber, body: Any, recipient: str | None
) -> None:
    await api.send("PUT", MAIL_SERVER, json=ORACLE_SERVER)
    content = {"json": body} if body is not None else {"headers": {}}
    tested = await api.send("POST", ORACLE.path, **content)

    assert tested.status_code == 200, tested.text
    assert [(server.host, to) for server, to in prober.asked] == [("mail.example.org", recipient)]


async def test_without_a_stored_server_there_is_nothing_to_test(api: Caller, prober: ScriptedProber) -> None:
    tested = await api.send("POST", ORACLE.path, json={})

    assert (tested.status_code, tested.json()["code"]) == (404, "NotFound")
    assert prober.asked == []


@DIALECTS
async def test_too_many_tests_are_a_429_with_retry_after(
    api: Caller, prober: ScriptedProber, dialect: Dialect
) -> None:
    """Case 35."""
    for _ in range(LIMITS.max_per_minute_per_caller):
        assert (await run(api, dialect)).status_code == 200
    refused = await run(api, dialect)

    assert refused.status_code == 429
    assert 1 <= int(refused.headers["Retry-After"]) <= 61
    assert set(refused.json()) == dialect.members - {"report"}
    assert refused.json().get("code", "TooManyRequests") == "TooManyRequests"
    assert len(prober.asked) == LIMITS.max_per_minute_per_caller


@DIALECTS
async def test_concurrent_tests_are_limited_per_caller(
    api: Caller, prober: ScriptedProber, dialect: Dialect
) -> None:
    prober.hold = asyncio.Event()
    running = [asyncio.create_task(run(api, dialect)) for _ in range(LIMITS.max_concurrent_per_caller)]
    await until_asked(prober, LIMITS.max_concurrent_per_caller)
    refused = await run(api, dialect)
    other = asyncio.create_task(run(api("tester"), CHECKMARX))
    await until_asked(prober, LIMITS.max_concurrent_per_caller + 1)
    prober.hold.set()
    answers = [await task for task in (*running, other)]

    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "5")
    assert [answer.status_code for answer in answers] == [200] * len(answers)


async def until_asked(prober: ScriptedProber, times: int) -> None:
    async with asyncio.timeout(GUARD_SECONDS):
        while len(prober.asked) < times:  # noqa: ASYNC110  # the event happens on the other side of HTTP
            await asyncio.sleep(0.01)
