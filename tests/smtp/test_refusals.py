"""What replies mean: known ones of big providers in plain steps, others by code and place, none with secrets."""

import base64
from typing import Any

import pytest

from mailsettings.domain.mail_server import (
    Authentication,
    ConnectionSecurity,
    MailServer,
    NoAuthentication,
    PasswordAuthentication,
)
from mailsettings.domain.probe import FailureCode, ProbeFailure, ProbeStage
from mailsettings.domain.secret import MASK, Secret
from mailsettings.domain.setting import Setting
from mailsettings.smtp.providers import TABLE, advice_on
from mailsettings.smtp.replies import reply as read
from mailsettings.smtp.replies import shown

from smtp_server import HOST, SENDER, USERNAME, says, scripted_server

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

# Replies as providers send them, from their documentation and from reports of those who met them.
REPLIES: dict[str, tuple[str, ProbeStage, FailureCode, str]] = {
    "Microsoft 365, tenant": (
        "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant.",
        LOGS_IN,
        FailureCode.AUTHENTICATION_DISABLED,
        "SMTP AUTH",
    ),
    "Microsoft 365, policy": (
        "535 5.7.139 Authentication unsuccessful, the user credentials were incorrect.",
        LOGS_IN,
        FailureCode.AUTHENTICATION_DISABLED,
        "sign-in logs",
    ),
    "Microsoft 365, no login": (
        "530 5.7.57 Client not authenticated to send mail.",
        SENDER_STAGE,
        FailureCode.AUTHENTICATION_REQUIRED,
        "connector",
    ),
    "Microsoft 365, send as": (
        "550 5.7.60 SMTP; Client does not have permissions to send as this sender",
        CONTENT,
        FailureCode.SENDER_NOT_ALLOWED,
        "Send As",
    ),
    "Microsoft 365, send as denied": (
        "554 5.2.252 SendAsDenied; scans@example.org not allowed to send as boss@example.org",
        CONTENT,
        FailureCode.SENDER_NOT_ALLOWED,
        "Send As",
    ),
    "Exchange, send as": (
        "550 5.7.1 Client does not have permissions to send as this sender",
        SENDER_STAGE,
        FailureCode.SENDER_NOT_ALLOWED,
        "Send As",
    ),
    "Gmail, app password": (
        "534 5.7.9 Application-specific password required. For more information, go to gsmtp",
        LOGS_IN,
        FailureCode.APP_PASSWORD_REQUIRED,
        "apppasswords",
    ),
    "Gmail, bad credentials": (
        "535 5.7.8 Username and Password not accepted. https://support.google.com/mail/?p=BadCredentials - gsmtp",
        LOGS_IN,
        FailureCode.AUTHENTICATION_FAILED,
        "app password",
    ),
    "Gmail, limit": (
        "550 5.4.5 Daily user sending limit exceeded. - gsmtp",
        CONTENT,
        FailureCode.SENDING_LIMIT_REACHED,
        "Wait",
    ),
    "Yahoo": (
        "535 5.7.0 (#AUTH005) Too many bad auth attempts.",
        LOGS_IN,
        FailureCode.APP_PASSWORD_REQUIRED,
        "app password",
    ),
    "Amazon SES, identity": (
        "554 Message rejected: Email address is not verified. The following identities failed the check in region",
        CONTENT,
        FailureCode.SENDER_NOT_VERIFIED,
        "SES console",
    ),
    "Amazon SES, credentials": (
        "535 Authentication Credentials Invalid",
        LOGS_IN,
        FailureCode.AUTHENTICATION_FAILED,
        "SMTP credentials",
    ),
    "Amazon SES, quota": (
        "454 Throttling failure: Daily message quota exceeded.",
        CONTENT,
        FailureCode.SENDING_LIMIT_REACHED,
        "quotas",
    ),
    "SendGrid, identity": (
        "550 The from address does not match a verified Sender Identity.",
        CONTENT,
        FailureCode.SENDER_NOT_VERIFIED,
        "Sender Authentication",
    ),
    "SendGrid, credits": (
        "451 Authentication failed: Maximum credits exceeded",
        LOGS_IN,
        FailureCode.SENDING_LIMIT_REACHED,
        "plan",
    ),
    "iCloud": (
        "550 5.7.0 From address is not one of your addresses.",
        SENDER_STAGE,
        FailureCode.SENDER_NOT_ALLOWED,
        "own addresses",
    ),
    "Zoho": (
        "553 Sender is not allowed to relay emails",
        RECIPIENT,
        FailureCode.SENDER_NOT_ALLOWED,
        "account's own",
    ),
    # By code and place
    "login": ("535 5.7.8 No", LOGS_IN, FailureCode.AUTHENTICATION_FAILED, "password"),
    "login, for now": ("454 4.7.0 Later", LOGS_IN, FailureCode.TEMPORARY_REFUSAL, "Try again"),
    "login, mechanism": ("504 5.5.4 Unrecognized", LOGS_IN, FailureCode.MECHANISM_REFUSED, "587"),
    "login, advertised and not done": ("502 5.5.1 Not here", LOGS_IN, FailureCode.MECHANISM_REFUSED, "587"),
    "login, too weak": ("534 5.7.9 mechanism is too weak", LOGS_IN, FailureCode.MECHANISM_REFUSED, "587"),
    "login, encryption": ("538 5.7.11 Encryption required", LOGS_IN, FailureCode.ENCRYPTION_REQUIRED, "STARTTLS"),
    "sender, encryption": (
        "530 5.7.0 Must issue a STARTTLS command first",
        SENDER_STAGE,
        FailureCode.ENCRYPTION_REQUIRED,
        "STARTTLS",
    ),
    "sender, login": (
        "530 5.7.0 Authentication required",
        SENDER_STAGE,
        FailureCode.AUTHENTICATION_REQUIRED,
        "user",
    ),
    "sender, login by 550": (
        "550 5.7.1 Authentication is required",
        SENDER_STAGE,
        FailureCode.AUTHENTICATION_REQUIRED,
        "user",
    ),
    "sender": ("553 5.1.8 No such domain", SENDER_STAGE, FailureCode.SENDER_NOT_ALLOWED, "sender"),
    "recipient": ("550 5.1.1 Nobody", RECIPIENT, FailureCode.RECIPIENT_REFUSED, "address"),
    "recipient, relay": ("554 5.7.1 Relay access denied", RECIPIENT, FailureCode.RELAY_REFUSED, "Log in"),
    "recipient, greylisting": ("450 4.2.0 Greylisted", RECIPIENT, FailureCode.TEMPORARY_REFUSAL, "minutes"),
    "message": ("552 5.3.4 Too big", CONTENT, FailureCode.MESSAGE_REFUSED, "reply"),
}


@pytest.mark.parametrize(
    ("reply", "stage", "code", "word"),
    [pytest.param(*row, id=name, marks=pytest.mark.shows(row[2])) for name, row in REPLIES.items()],
)
async def test_a_reply_is_explained(
    make_prober: Any, reply: str, stage: ProbeStage, code: FailureCode, word: str
) -> None:
    login = None if code is FailureCode.AUTHENTICATION_REQUIRED else LOGIN
    failure = await answered(make_prober, stage, reply, login)

    assert (failure.code, failure.stage) == (code, stage)
    assert word in " ".join([failure.explanation, *failure.steps])
    assert failure.reply is not None
    assert str(failure.reply) == reply


def test_every_row_of_the_table_is_met_by_a_reply() -> None:
    met = {advice_on(read(int(text[:3]), text[4:]), stage) for text, stage, _, _ in REPLIES.values()}

    assert set(TABLE) <= met


async def test_a_server_that_wants_encryption_gets_starttls_suggested(make_prober: Any) -> None:
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
async def test_credentials_that_a_server_sends_back_are_not_shown(make_prober: Any, name: str) -> None:
    *others, last = f"No: {ECHOES[name]}".split("\n")
    reply = "".join([*(f"535-5.7.8 {line}\r\n" for line in others), f"535 5.7.8 {last}"])
    failure = await answered(make_prober, LOGS_IN, reply)

    assert failure.code is FailureCode.AUTHENTICATION_FAILED
    shown = "".join(repr(failure).split())
    for secret in (CANARY, CANARY.upper(), CANARY[::-1], PLAIN.rstrip("=")):
        assert not any(secret[start : start + 9] in shown for start in range(len(secret) - 8))


@pytest.mark.parametrize("password", ["a", "no", "!!", "c o r r e c t"])
@pytest.mark.parametrize("echo", ["{}", "{} ", "a{}b"])
def test_a_secret_that_cannot_be_cut_out_hides_all_that_has_it(password: str, echo: str) -> None:
    said = echo.format(password.replace(" ", ""))

    assert shown(f"Authentication {said} failed", [password]) == MASK


@pytest.mark.parametrize("blank", ["  ", "\t", "\u00a0", "\r\n"])
def test_other_blanks_do_not_bring_a_secret_through(blank: str) -> None:
    assert "horse" not in shown(f"No: correct{blank}horse", ["correct horse"])


REPLIES_WITH_NAMES = {
    "550 5.1.1 <info@tls.example.org>: User unknown": FailureCode.RECIPIENT_REFUSED,
    "550 <info@tls.example.org>: unknown": FailureCode.RECIPIENT_REFUSED,
    "554 5.7.1 <relay.example.org[192.0.2.1]>: Client host rejected": FailureCode.RECIPIENT_REFUSED,
    "550 5.1.1 <relay@example.org>: User unknown": FailureCode.RECIPIENT_REFUSED,
    "550 5.7.1 SPF authentication of the domain is required": FailureCode.RECIPIENT_REFUSED,
    "554 5.7.1 <to@example.org>: Relay access denied": FailureCode.RELAY_REFUSED,
}


@pytest.mark.parametrize("reply", REPLIES_WITH_NAMES)
async def test_names_in_a_reply_say_nothing_about_why_it_refuses(make_prober: Any, reply: str) -> None:
    assert (await answered(make_prober, RECIPIENT, reply)).code is REPLIES_WITH_NAMES[reply]


async def test_an_old_server_that_knows_no_ehlo_is_greeted_as_of_old(make_prober: Any) -> None:
    script = says(HELLO, b"500 What?", b"250 mail.example.org", OK)
    async with scripted_server(script) as server:
        settings = MailServer(HOST, server.port, ConnectionSecurity.NONE, SENDER, NoAuthentication())
        report = await make_prober().probe(settings, None)

    assert report.succeeded
    assert [line[:4] for line in server.heard[:3]] == [b"EHLO", b"HELO", b"MAIL"]


async def answered(
    make_prober: Any, stage: ProbeStage, reply: str, login: Authentication | None = LOGIN
) -> ProbeFailure:
    """What a test finds whose server says *reply* in *stage*."""
    before = [said for said in BEFORE[stage] if login or said != YES]
    # 501 and 504 are said twice: the login is tried once more without an argument.
    async with scripted_server(says(*before, *[reply.encode()] * 2)) as server:
        login = login or NoAuthentication()
        settings = MailServer(HOST, server.port, ConnectionSecurity.NONE, SENDER, login)
        report = await make_prober().probe(settings, "to@example.com")
    failure: ProbeFailure | None = report.failure
    assert failure is not None
    return failure
