"""Each refusal of a server ends in the exit code that callers of sendmail expect, with the server's words."""

import asyncio
from collections.abc import Mapping, Sequence

import pytest

from support.canary import Canary
from support.sendmail_program import MAIL, Sendmail, WriteSettings
from support.smtp_server import (
    Script,
    listening,
    never_stops,
    says,
    scripted_server,
    stays_silent,
    takes_the_message,
)

RECIPIENTS = ["a@example.com", "b@example.com", "c@example.com"]
OK = b"250 2.0.0 OK"
EHLO = b"250-mail.example.org\r\n250 AUTH PLAIN LOGIN"
UNTIL_MAIL = (b"220 mail.example.org", EHLO, b"235 2.7.0 OK")
PLAIN = {"security": "none", "ca_file": None}

REFUSALS: Mapping[str, tuple[int, Sequence[bytes]]] = {
    "421 4.3.2 closing": (75, [b"421 4.3.2 closing"]),
    "554 no": (69, [b"554 no"]),
    "502 no EHLO": (69, [b"220 x", b"502 no EHLO"]),
    "535 5.7.8 wrong": (78, [b"220 x", EHLO, b"535 5.7.8 wrong"]),
    "454 4.7.0 later": (75, [b"220 x", EHLO, b"454 4.7.0 later"]),
    "550 5.7.1 sender not allowed": (69, [*UNTIL_MAIL, b"550 5.7.1 sender not allowed"]),
    "451 4.3.5 no settings": (75, [*UNTIL_MAIL, b"451 4.3.5 no settings"]),
    "454 4.7.0 provider login failed": (75, [*UNTIL_MAIL, b"454 4.7.0 provider login failed"]),
    "552 5.3.4 too large": (65, [*UNTIL_MAIL, b"552 5.3.4 too large"]),
    "550 5.1.1 unknown": (67, [*UNTIL_MAIL, OK, b"550 5.1.1 unknown"]),
    "553 unknown": (67, [*UNTIL_MAIL, OK, b"553 unknown"]),
    "554 5.7.1 relay access denied": (69, [*UNTIL_MAIL, OK, b"554 5.7.1 relay access denied"]),
    "452 4.2.2 mailbox full": (75, [*UNTIL_MAIL, OK, b"452 4.2.2 mailbox full"]),
    "554 5.5.1 no DATA": (69, [*UNTIL_MAIL, OK, OK, b"554 5.5.1 no DATA"]),
}


@pytest.mark.parametrize("words", REFUSALS)
async def test_a_refusal_has_its_exit_code_and_words(
    sendmail: Sendmail, sendmail_settings: WriteSettings, words: str
) -> None:
    code, replies = REFUSALS[words]
    async with scripted_server(says(*replies, b"221 bye")) as server:
        ended = await sendmail(sendmail_settings(server.port, **PLAIN), "-t")

    assert ended.code == code
    assert words in ended.errors
    assert ended.errors.startswith("sendmail: ")


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (b"550 5.7.1 spam", 69),
        (b"554 5.6.0 malformed", 65),
        (b"552 5.3.4 too large", 65),
        (b"554 5.4.6 loop", 65),
        (b"451 4.4.2 connection lost", 75),
        (b"432 4.3.2 too many connections", 75),
    ],
)
async def test_the_reply_to_the_content_decides(
    sendmail: Sendmail, sendmail_settings: WriteSettings, reply: bytes, code: int
) -> None:
    async def after_data(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await takes_the_message(reader, writer)
        writer.write(reply + b"\r\n")
        await reader.readline()

    async with scripted_server(says(*UNTIL_MAIL, OK, OK, then=after_data)) as server:
        ended = await sendmail(sendmail_settings(server.port, **PLAIN), "-t")

    assert ended.code == code
    assert reply.decode() in ended.errors


async def test_a_connection_lost_after_the_dot_is_no_success(
    sendmail: Sendmail, sendmail_settings: WriteSettings
) -> None:
    async with scripted_server(says(*UNTIL_MAIL, OK, OK, then=takes_the_message)) as server:
        ended = await sendmail(sendmail_settings(server.port, **PLAIN), "-t")

    assert ended.code == 75
    assert "closed the connection after it got the message: it may or may not be sent" in ended.errors


@pytest.mark.parametrize("pipelining", [b"", b"250-PIPELINING\r\n"])
@pytest.mark.parametrize(
    ("replies", "code", "words"),
    [
        (
            [b"550 5.1.1 a", b"550 5.1.1 b", b"550 5.1.1 c"],
            67,
            "rejected a@example.com: 550 5.1.1 a; b@example.com",
        ),
        ([b"550 5.1.1 a", b"450 4.2.1 b", b"550 5.1.1 c"], 67, "c@example.com: 550 5.1.1 c"),
        ([b"450 4.2.1 a", b"450 4.2.1 b", b"450 4.2.1 c"], 75, "b@example.com: 450 4.2.1 b"),
        (
            [b"250 OK", b"550 5.1.1 b", b"250 OK"],
            67,
            "sent to 2 of 3 recipients; the mail server rejected b@example",
        ),
        (
            [b"250 OK", b"250 OK", b"450 4.2.1 c"],
            75,
            "sent to 2 of 3 recipients; the mail server rejected c@example",
        ),
        ([b"250 OK", b"251 OK", b"252 OK"], 0, ""),
    ],
)
async def test_a_dead_address_does_not_stop_the_others(
    sendmail: Sendmail,
    sendmail_settings: WriteSettings,
    pipelining: bytes,
    replies: Sequence[bytes],
    code: int,
    words: str,
) -> None:
    messages = list[bytes]()

    async def rest(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        waiting = list(replies)
        while line := await reader.readline():
            if line.startswith(b"RCPT"):
                writer.write(waiting.pop(0) + b"\r\n")
            elif line == b"DATA\r\n":
                writer.write(b"354 go\r\n")
                messages.append(b"")
                while (text := await reader.readline()) != b".\r\n":
                    messages[-1] += text
                writer.write(b"250 sent\r\n" if messages[-1] else b"554 no recipients\r\n")
            elif line == b"QUIT\r\n":
                return

    ehlo = b"250-mail.example.org\r\n" + pipelining + b"250 AUTH PLAIN LOGIN"
    async with scripted_server(says(b"220 x", ehlo, b"235 OK", OK, then=rest)) as server:
        ended = await sendmail(sendmail_settings(server.port, **PLAIN), *RECIPIENTS)

    assert ended.code == code
    assert words in ended.errors
    sent = (
        MAIL.partition(b"\n\n")[2].replace(b"\n", b"\r\n") if any(reply[:2] == b"25" for reply in replies) else b""
    )
    assert b"".join(messages).endswith(sent)
    assert bool(sent) == bool(b"".join(messages))


@pytest.mark.parametrize(
    ("script", "code", "words"),
    [
        (stays_silent, 75, "does not answer"),
        (says(), 75, "closed the connection"),
        (never_stops, 69, "sends a reply without end"),
        (says(b"SSH-2.0-OpenSSH_9.2"), 69, "does not speak SMTP"),
        (says(b"220 x", b"250 mail.example.org"), 78, "offers no login by AUTH PLAIN or LOGIN"),
    ],
    ids=["silent", "closed", "endless", "SSH", "without AUTH"],
)
async def test_a_server_that_misbehaves_is_named(
    sendmail: Sendmail, sendmail_settings: WriteSettings, script: Script, code: int, words: str
) -> None:
    async with scripted_server(script) as server:
        ended = await sendmail(sendmail_settings(server.port, **PLAIN, timeout="1"), "-t")

    assert ended.code == code
    assert words in ended.errors


async def test_without_a_listener_the_caller_may_try_later(
    sendmail: Sendmail, sendmail_settings: WriteSettings
) -> None:
    async with listening(stays_silent) as port:
        pass
    ended = await sendmail(sendmail_settings(port), "-t")

    assert ended.code == 75
    assert f"cannot connect to 127.0.0.1:{port}: Connection refused" in ended.errors


async def test_nothing_is_sent_without_starttls(sendmail: Sendmail, sendmail_settings: WriteSettings) -> None:
    async with scripted_server(says(b"220 x", EHLO, OK)) as server:
        ended = await sendmail(sendmail_settings(server.port), "-t")

    assert ended.code == 69
    assert "offers no STARTTLS" in ended.errors
    assert {line[:4] for line in server.heard} <= {b"EHLO", b""}


async def test_replies_before_encryption_are_not_used(
    sendmail: Sendmail, sendmail_settings: WriteSettings
) -> None:
    """An attacker on the way may add replies to the one of STARTTLS (CVE-2011-0411)."""
    offers = b"250-x\r\n250 STARTTLS"
    async with scripted_server(says(b"220 x", offers, b"220 go\r\n250 injected")) as server:
        ended = await sendmail(sendmail_settings(server.port), "-t")

    assert ended.code == 69
    assert "sent more than its reply to STARTTLS" in ended.errors


async def test_a_server_that_repeats_the_login_is_not_repeated(
    sendmail: Sendmail, sendmail_settings: WriteSettings
) -> None:
    canary = Canary(plain=True)

    async def repeats(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = await reader.readline()
        writer.write(b"535 5.7.8 %s \x1b[2J %s is wrong\r\n" % (canary.secret.encode(), line.split()[-1]))
        await reader.readline()

    async with scripted_server(says(b"220 x", EHLO, then=repeats)) as server:
        ended = await sendmail(sendmail_settings(server.port, **PLAIN, secret=canary.secret), "-t")

    assert ended.code == 78
    assert "535 5.7.8 ***" in ended.errors
    assert ended.errors.strip().isprintable()
    canary.assert_nowhere(ended.errors)


@pytest.mark.parametrize(
    ("words", "message", "code", "error"),
    [
        ((), MAIL, 64, "the message has no recipients"),
        (("-t",), b"Subject: x\n\nx", 64, "the message has no recipients"),
        (("-y", "a@example.com"), MAIL, 64, "the option -y is unknown"),
        (("a b@example.com",), MAIL, 65, "'a b@example.com' is not an address"),
        (("-f", "a@x.test, b@x.test", "a@example.com"), MAIL, 65, "the sender must be a single address"),
        (("-t",), b"To: a@example.com\nX: " + b"y" * (2 << 20), 65, "header of the message is longer"),
    ],
)
async def test_a_wrong_call_connects_to_no_server(
    sendmail: Sendmail,
    sendmail_settings: WriteSettings,
    words: Sequence[str],
    message: bytes,
    code: int,
    error: str,
) -> None:
    async with scripted_server(stays_silent) as server:
        ended = await sendmail(sendmail_settings(server.port, **PLAIN), *words, message=message)

    assert ended.code == code
    assert error in ended.errors
    assert server.connections == 0
