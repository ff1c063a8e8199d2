"""Displayed replies: without secrets, complete in the report, shortened in explanations."""

import base64
from typing import Any

import pytest

from mailsettings.domain.connection_test import FailureCode, ProbeFailure, ProbeStage
from mailsettings.domain.mail_server import (
    Authentication,
    ConnectionSecurity,
    MailServer,
    NoAuthentication,
    PasswordAuthentication,
)
from mailsettings.domain.observation import MAX_SUMMARY_LENGTH, summary
from mailsettings.domain.setting import Setting
from mailsettings.domain.values import MASK, Secret
from mailsettings.smtp.redaction import MAX_REPLY_LENGTH, displayable_text

from support.smtp_server import HOST, SENDER, USERNAME, says, scripted_server

CANARY = "canary-pa55word-1b7e"
LOGIN = PasswordAuthentication(USERNAME, Secret(CANARY))
HELLO = b"220 mail.example.org ESMTP"
EHLO = b"250-mail.example.org\r\n250 AUTH PLAIN"
OK = b"250 2.0.0 OK"
YES = b"235 2.7.0 Yes"
LOGGING_IN = (HELLO, EHLO)
BEFORE = {
    ProbeStage.AUTHENTICATE: LOGGING_IN,
    ProbeStage.SENDER: (*LOGGING_IN, YES),
    ProbeStage.RECIPIENT: (*LOGGING_IN, YES, OK),
    ProbeStage.CONTENT: (*LOGGING_IN, YES, OK, OK),
}
LOGS_IN, SENDER_STAGE = ProbeStage.AUTHENTICATE, ProbeStage.SENDER
RECIPIENT, CONTENT = ProbeStage.RECIPIENT, ProbeStage.CONTENT


async def test_required_encryption_suggests_starttls(make_prober: Any) -> None:
    failure = await answered(make_prober, SENDER_STAGE, "530 5.7.0 Must issue a STARTTLS command first")

    assert [(change.setting, change.suggested) for change in failure.changes] == [
        (Setting.SECURITY, ConnectionSecurity.STARTTLS)
    ]


PLAIN = base64.b64encode(f"\0{USERNAME}\0{CANARY}".encode()).decode()
ECHOES = {
    "password": CANARY,
    "PLAIN response": PLAIN,
    "PLAIN response without its padding": PLAIN.rstrip("="),
    "PLAIN response, cut": PLAIN[:-6],
    "PLAIN response on two lines": f"{PLAIN[:20]}\n{PLAIN[20:]}",
    "base64": base64.b64encode(CANARY.encode()).decode(),
    "password on two lines": f"{CANARY[:10]}\n{CANARY[10:]}",
    "in capitals": CANARY.upper(),
    "backwards": CANARY[::-1],
    "with marks in it": "\u200b".join(CANARY),
    "with controls in it": "\x00".join(CANARY),
    "percent-encoded": "".join(f"%{byte:02x}" if byte == ord("-") else chr(byte) for byte in CANARY.encode()),
}


@pytest.mark.parametrize("name", ECHOES)
async def test_echoed_credentials_are_not_shown(make_prober: Any, name: str) -> None:
    *others, last = f"No: {ECHOES[name]}".split("\n")
    reply = "".join([*(f"535-5.7.8 {line}\r\n" for line in others), f"535 5.7.8 {last}"])
    failure = await answered(make_prober, LOGS_IN, reply)

    assert failure.code is FailureCode.AUTHENTICATION_FAILED
    shown = "".join(repr(failure).split())
    for secret in (CANARY, CANARY.upper(), CANARY[::-1], PLAIN.rstrip("=")):
        assert not any(secret[start : start + 9] in shown for start in range(len(secret) - 8))


@pytest.mark.parametrize("password", ["a", "no", "!!", "c o r r e c t"])
@pytest.mark.parametrize("echo", ["{}", "{} ", "a{}b"])
def test_a_disguised_secret_hides_the_whole_text(password: str, echo: str) -> None:
    said = echo.format(password.replace(" ", ""))

    assert displayable_text(f"Authentication {said} failed", [password]) == MASK


@pytest.mark.parametrize("blank", ["  ", "\t", "\u00a0", "\r\n"])
def test_unusual_blanks_do_not_reveal_a_secret(blank: str) -> None:
    assert "horse" not in displayable_text(f"No: correct{blank}horse", ["correct horse"])


@pytest.mark.parametrize("password", ["password", "Login", "test", "secret", "failed"])
async def test_a_common_word_as_secret_keeps_the_reply(make_prober: Any, password: str) -> None:
    words = "Login failed: test your secret password"
    failure = await answered(
        make_prober, LOGS_IN, f"535 5.7.8 {words}", PasswordAuthentication(USERNAME, Secret(password))
    )

    assert failure.reply is not None
    assert failure.reply.text == words


LINK = "https://accounts.example.com/signin/continue?sarp=1&scc=1&plt=AKgnsbt-"
SUMMARIES = {
    f"<{LINK} {'z' * 72} oxk1xid> Please log in via your web browser and then try again. Learn more "
    "at https://example.com/mail/answer/78754 k76sm6774626pfg.42 - gsmtp": "Please log in via your web browser "
    "and then try again.",
    "Application-specific password required. For more information, go to https://example.com/?p=X a1b2c3d4e5.7 "
    "- gsmtp": "Application-specific password required.",
    "Authentication unsuccessful, the user credentials were incorrect. [BN9PR03CA0001.namprd03.prod.outlook.com "
    "2023-12-01T10:00:00.000Z 08DBF1]": "Authentication unsuccessful, the user credentials were incorrect.",
    "Blocked, see https://www.example.net/why": "Blocked",
    "https://www.example.net/why": "https://www.example.net/why",
    "No": "No",
}


@pytest.mark.parametrize("text", SUMMARIES)
def test_a_summary_cuts_links_before_words(text: str) -> None:
    assert SUMMARIES[text] == summary(text)


def test_a_summary_of_endless_words_is_bounded() -> None:
    assert len(summary("word " * 500)) <= MAX_SUMMARY_LENGTH


async def test_a_long_reply_is_reported_in_full(make_prober: Any) -> None:
    lines = [f"line {number} of a long explanation of the server" for number in range(40)]
    reply = "\r\n".join([*(f"535-5.7.8 {line}" for line in lines[:-1]), f"535 5.7.8 {lines[-1]}"])
    failure = await answered(make_prober, LOGS_IN, reply)

    assert failure.reply is not None
    assert failure.reply.text == " ".join(lines)


async def test_a_reply_without_end_is_cut_in_the_report(make_prober: Any) -> None:
    reply = "\r\n".join([*(f"535-{'word ' * 50}" for _ in range(20)), "535 end"])
    failure = await answered(make_prober, LOGS_IN, reply)

    assert failure.reply is not None
    assert len(failure.reply.text) == MAX_REPLY_LENGTH


async def test_a_server_without_ehlo_gets_helo(make_prober: Any) -> None:
    script = says(HELLO, b"500 What?", b"250 mail.example.org", OK)
    async with scripted_server(script) as server:
        settings = MailServer(HOST, server.port, ConnectionSecurity.NONE, SENDER, NoAuthentication())
        report = await make_prober().probe(settings, None)

    assert report.succeeded
    assert [line[:4] for line in server.heard[:3]] == [b"EHLO", b"HELO", b"MAIL"]


async def answered(
    make_prober: Any, stage: ProbeStage, reply: str, login: Authentication | None = LOGIN
) -> ProbeFailure:
    """Return the failure of a test if the server replies *reply* in *stage*."""
    before = [said for said in BEFORE[stage] if login or said != YES]
    # 501 and 504 are said twice: the login is tried once more without an argument.
    async with scripted_server(says(*before, *[reply.encode()] * 2)) as server:
        login = login or NoAuthentication()
        settings = MailServer(HOST, server.port, ConnectionSecurity.NONE, SENDER, login)
        report = await make_prober().probe(settings, "to@example.com")
    failure: ProbeFailure | None = report.failure
    assert failure is not None
    return failure
