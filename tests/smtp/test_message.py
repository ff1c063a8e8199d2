"""The test mail is valid and has no unintended header."""

import email
import email.policy
from datetime import UTC, datetime
from email.header import decode_header, make_header

import pytest

from mailsettings.domain.mail_server import Sender
from mailsettings.smtp.message import compose

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
HEADERS = [
    *("From", "To", "Subject", "Date", "Message-ID", "MIME-Version", "Content-Type"),
    *("Content-Transfer-Encoding", "Auto-Submitted"),
]
NAMES = [
    *(
        "Scan results",
        'Quotes "and" commas, <angles>',
        "Jürgen Müller",
        "日本語の名前",
        "👍🏽 ok",
        "a" * 320,
        "ü" * 320,
    ),
    *(
        "=?utf-8?q?x=0D=0ABcc=3A_e=40x=2Etest?=",
        "=?utf-8?b?eA0KQmNjOiBlQHg=?=",
        "a =?utf-8?q?=0A?= b",
        "back\\slash",
    ),
    *("U+202E \u202e reversed", "semi;colon", "(comment)", "a@b", " spaces "),
]


@pytest.mark.parametrize("name", [None, *NAMES], ids=ascii)
def test_no_sender_name_can_add_headers(name: str | None) -> None:
    message = compose(Sender("a@example.org", name), "b@example.com", "mail.example.org", NOW)
    read = email.message_from_bytes(message, policy=email.policy.compat32)

    assert list(read.keys()) == HEADERS
    assert max(map(len, message.split(b"\r\n"))) <= 78
    assert b"\n" not in message.replace(b"\r\n", b"")
    assert message.isascii()
    sender = str(make_header(decode_header(read["From"].replace("\r\n", ""))))
    assert sender.endswith("a@example.org>" if name else "a@example.org")
    if name:
        assert name.strip() in " ".join(sender.split()) or name in sender


def test_the_mail_explains_itself() -> None:
    message = compose(Sender("a@example.org"), "b@example.com", "mail.example.org", NOW)
    read = email.message_from_bytes(message, policy=email.policy.default)

    assert read["Subject"] == "Test of mail settings"
    assert read["Date"].datetime == NOW
    assert read["Message-ID"].endswith("@example.org>")
    assert "mail.example.org" in read.get_content()
    assert "no answer is needed" in read.get_content()
    assert "Request:" not in read.get_content()


def test_every_mail_has_its_own_message_id() -> None:
    ids = {email.message_from_bytes(compose(Sender("a@b"), "c@d", "h", NOW))["Message-ID"] for _ in range(10)}

    assert len(ids) == 10


def test_the_mail_text_is_readable_and_names_the_request() -> None:
    message = compose(Sender("a@example.org"), "b@example.com", "mail.example.org", NOW, "5f3c0d")

    assert b"Content-Transfer-Encoding: 7bit\r\n" in message
    assert b"\r\nServer:  mail.example.org\r\n" in message
    assert b"\r\nRequest: 5f3c0d\r\n" in message


@pytest.mark.parametrize("request_id", ["\u00fcber", "a\rb", "x" * 1200])
def test_an_odd_request_id_adds_no_line(request_id: str) -> None:
    message = compose(Sender("a@example.org"), "b@example.com", "mail.example.org", NOW, request_id)
    read = email.message_from_bytes(message, policy=email.policy.compat32)

    assert list(read.keys()) == HEADERS
    assert message.isascii()
    assert max(map(len, message.split(b"\r\n"))) <= 998
