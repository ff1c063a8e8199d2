"""Situations from public reports: the prober and every API explain each of them correctly."""

from dataclasses import replace
from ipaddress import ip_address
from typing import Any

import pytest

from mailsettings.cli.testing.probing import STORED_VOCABULARY, members
from mailsettings.cli.testing.report import render
from mailsettings.dialects.checkmarx.errors import STYLE as CHECKMARX
from mailsettings.dialects.checkmarx.translate import VOCABULARY
from mailsettings.dialects.oracle_analytics.errors import STYLE as ORACLE
from mailsettings.dialects.oracle_analytics.translate import vocabulary
from mailsettings.domain.connection_test import ProbeFailure, ProbeReport
from mailsettings.domain.mail_server import MailServer
from mailsettings.smtp.diagnosis.providers import TABLE, find_advice
from mailsettings.smtp.redaction import displayable_reply
from mailsettings.web.report import Vocabulary

from smtp.cases import SITUATIONS
from smtp.cases.server import serving
from smtp.cases.situation import Situation
from support.smtp_server import HOST, SENDER, TRUST

EACH = pytest.mark.parametrize(
    "situation",
    [
        pytest.param(one, id=one.name, marks=[pytest.mark.shows(one.code)] if one.code else [])
        for one in SITUATIONS
    ],
)


@EACH
async def test_a_situation_gets_the_right_code_and_advice(make_prober: Any, situation: Situation) -> None:
    report = await probed(make_prober, situation)

    if situation.code is None:
        assert report.failure is None
        return
    found = report.failure
    assert found is not None
    assert (found.code, found.stage) == (situation.code, situation.stage)
    if situation.field is not None:
        assert found.changes[0].setting is situation.field
    if situation.suggested is not None:
        assert found.changes[0].suggested == situation.suggested
    for words in (VOCABULARY, vocabulary(report), STORED_VOCABULARY):
        require_words(said(found, words), situation)


@EACH
async def test_every_api_answers_a_situation_in_its_shape(make_prober: Any, situation: Situation) -> None:
    """The same report as each route sends it, and as the command line prints it."""
    report = await probed(make_prober, situation)
    if report.failure is None:
        assert "works" in render(members(report, STORED_VOCABULARY))
        return
    for style, words in ((CHECKMARX, VOCABULARY), (ORACLE, vocabulary(report))):
        answer = style.failed_test(report.failure, report, words)
        assert answer.status_code == 400
        assert len(answer.body) < 64 * 1024
    assert report.failure.explanation in render(members(report, STORED_VOCABULARY))


def said(found: ProbeFailure, words: Vocabulary) -> str:
    """What an API says of *found*, but for the server's own words."""
    changes = [f"{change.field} {change.suggested or ''}" for change in words.changes(found)]
    return "\n".join([found.title, found.explanation, *words.steps(found), *changes])


def require_words(text: str, situation: Situation) -> None:
    missing = [word for word in situation.told if word.lower() not in text.lower()]
    wrong = [word for word in situation.never if word.lower() in text.lower()]
    assert (missing, wrong) == ([], []), text


async def probed(make_prober: Any, situation: Situation) -> ProbeReport:
    prober = make_prober(resolve=lambda _host: [ip_address(HOST)], deadline_seconds=situation.deadline)
    with serving(situation) as port:
        server = MailServer(situation.host, port, situation.security, SENDER, situation.login, TRUST)
        report: ProbeReport = await prober.probe(server, "to@example.net")
    assert "canary" not in repr(replace(report, stages=()))
    return report


def test_every_provider_row_has_a_situation() -> None:
    met = set()
    for one in SITUATIONS:
        for text in one.says.values():
            if not isinstance(text, str):
                continue
            code, lines = text[:3], [line[4:] for line in text.split("\n")]
            if code.isdigit() and one.stage is not None:
                met.add(find_advice(displayable_reply(int(code), "\n".join(lines)), one.stage))

    assert [(row.code.value, row.words) for row in TABLE if row not in met] == []


def test_every_provider_row_names_its_source_and_date() -> None:
    assert [row.words for row in TABLE if not any(character.isdigit() for character in row.source)] == []
