"""The header of a message is checked and completed."""

from dataclasses import replace
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage

import pytest

from mailsettings.domain.mail_server import Sender
from mailsettings.relay.incoming import refusals
from mailsettings.relay.incoming.header import Field, HeaderBlock
from mailsettings.relay.incoming.header_rules import HeaderRules, message_id_of
from mailsettings.relay.incoming.limits import MAX_HEADER_BYTES
from mailsettings.relay.replies import Refused, Reply

from support.relay import DEVICE

STORED = Sender("relay@example.org", "Scans")
RULES = HeaderRules(
    DEVICE, "scan@example.com", None, Field.of("Received", "from here"), datetime(2026, 11, 28, 12, tzinfo=UTC)
)
REWRITING = replace(RULES, device=replace(DEVICE, sends_as_stored_sender=True), stored_sender=STORED)


def split(content: bytes) -> HeaderBlock:
    block = HeaderBlock()
    assert block.feed(content, is_last=True)
    return block


def sent(content: bytes, rules: HeaderRules = RULES) -> bytes:
    """The whole message as the mail server gets it."""
    block = split(content)
    return rules.apply(block.fields) + block.body


def received(content: bytes, rules: HeaderRules = RULES) -> EmailMessage:
    message = message_from_bytes(sent(content, rules), policy=policy.default)
    assert isinstance(message, EmailMessage)
    return message


def refusal(content: bytes, rules: HeaderRules = RULES) -> Reply:
    with pytest.raises(Refused) as refused:
        sent(content, rules)
    return refused.value.reply


def test_a_message_gets_date_message_id_and_received() -> None:
    message = received(b"From: scan@example.com\r\n\r\nbody\r\n")

    assert message["Date"] == "Sat, 28 Nov 2026 12:00:00 +0000"
    assert message["Message-ID"].endswith("@example.com>")
    assert next(iter(message)) == "Received"
    assert message.get_content() == "body\r\n"


def test_existing_fields_stay_as_they_are() -> None:
    fields = (
        b"From: Scanner\r\n\t<scan@example.com>\r\nSender: other@example.net\r\nResent-From: a@example.net\r\n"
        b"Date: yesterday\r\nMessage-ID: <1@a>\r\nSubject: a\r\n b\r\nX-Odd: \xff\r\n"
    )

    assert sent(fields + b"\r\nbody\r\n") == b"Received: from here\r\n" + fields + b"\r\nbody\r\n"


def test_hidden_recipients_stay_hidden() -> None:
    message = received(b"From: scan@example.com\r\nBCC: a@b.example,\r\n c@d.example\r\nResent-Bcc: e\r\n\r\n")

    assert not {"Bcc", "Resent-Bcc"} & set(message)
    assert message["From"] == "scan@example.com"


def test_a_missing_from_is_the_envelope_sender() -> None:
    assert received(b"Subject: a\r\n\r\n")["From"] == "scan@example.com"
    assert refusal(b"Subject: a\r\n\r\n", replace(RULES, sender="")) == refusals.FROM_MISSING


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\r\n",
        b"body\r\n",
        b" From: a@example.net\r\n",
        b"From \r\nFrom: a@example.net\r\n\r\n",
        b"a\0: b\r\n",
    ],
)
def test_text_without_header_becomes_the_body(content: bytes) -> None:
    message = received(content)

    assert message["From"] == "scan@example.com"
    assert content.strip() in sent(content).partition(b"\r\n\r\n")[2]


@pytest.mark.parametrize(
    "value",
    [
        b"ceo@example.org",
        b"scan@example.com, ceo@example.org",
        b"ceo@example.org <scan@example.com>",
        b"Group: scan@example.com, ceo@example.org;",
        b"Scan (<scan@example.com>) <ceo@example.org>",
        b'"scan@example.com" <ceo@example.org>',
        b"scan@example.com.example.org",
        b"\r\n ceo@example.org",
    ],
)
def test_every_address_in_from_must_be_allowed(value: bytes) -> None:
    assert refusal(b"From: " + value + b"\r\n\r\n") == refusals.FROM_NOT_ALLOWED
    assert refusal(b"fRoM \t: " + value + b"\r\n\r\n") == refusals.FROM_NOT_ALLOWED


def test_a_from_without_addresses_is_refused() -> None:
    assert refusal(b"From: Group:;\r\n\r\n") == refusals.FROM_MISSING
    assert refusal(b"From: Scanner\r\n\r\n") == refusals.FROM_MALFORMED


@pytest.mark.parametrize("rules", [RULES, REWRITING])
def test_two_from_fields_are_refused(rules: HeaderRules) -> None:
    content = b"From: scan@example.com\r\nfrom : scan@example.com\r\n\r\n"

    assert refusal(content, rules) == refusals.FROM_TWICE


@pytest.mark.parametrize(
    ("old", "new", "answers"),
    [
        (b"From: a@b.example\r\n", "Scans <relay@example.org>", "a@b.example"),
        (b"From: Room 3 <a@b>\r\n", "Room 3 <relay@example.org>", "a@b"),
        (b'From: "Room, 3" <a@b>\r\n', '"Room, 3" <relay@example.org>', "a@b"),
        (b"From: Room. 3 <a@b>\r\n", '"Room. 3" <relay@example.org>', "a@b"),
        (b"From: =?utf-8?q?B=C3=BCro?= <a@b>\r\n", "Büro <relay@example.org>", "a@b"),
        ("From: Büro <a@b>\r\n".encode(), "Büro <relay@example.org>", "a@b"),
        (b"From: B\xfcro <a@b>\r\n", "Büro <relay@example.org>", "a@b"),
        (b"From: a@b, c@d\r\n", "Scans <relay@example.org>", "a@b, c@d"),
        (b"From: RELAY@example.org\r\n", "Scans <relay@example.org>", None),
        (b"From: no address\r\n", "Scans <relay@example.org>", None),
        (b"", "Scans <relay@example.org>", None),
        (b"Reply-To: x@y\r\nFrom: a@b\r\n", "Scans <relay@example.org>", "x@y"),
    ],
)
def test_the_stored_sender_replaces_the_address(old: bytes, new: str, answers: str | None) -> None:
    message = received(old + b"Sender: s@t\r\n\r\n", REWRITING)

    assert [str(value) for value in message.get_all("From", [])] == [new]
    assert [answers] == [value and str(value) for value in message.get_all("Reply-To", [None])]
    assert message["Sender"] == "s@t"


def test_a_display_name_cannot_add_fields() -> None:
    hostile = b"From: =?utf-8?q?x=0D=0ABcc=3A_e=40x=2Etest?= \xc3\xbc <a@b>\r\n\r\n"
    names = [field.name for field in split(sent(hostile, REWRITING)).fields]

    assert names == ["Received", "From", "Reply-To", "Date", "Message-ID"]


def test_a_message_that_loops_is_refused() -> None:
    loop = b"Received: from a\r\n" * 51

    assert refusal(loop + b"From: scan@example.com\r\n\r\n") == refusals.LOOP
    assert received(loop[18:] + b"From: scan@example.com\r\n\r\n")


def test_a_header_beyond_64_kib_is_refused() -> None:
    field = b"X: " + b"a" * 995 + b"\r\n"
    block, many = HeaderBlock(), HeaderBlock()

    assert block.feed(field * 65 + b"\r\n", is_last=False)
    with pytest.raises(Refused):
        many.feed(field * 66, is_last=False)
    with pytest.raises(Refused):
        HeaderBlock().feed(field * 66 + b"\r\nbody", is_last=True)


def test_a_field_cut_off_at_64_kib_is_no_body() -> None:
    field = b"X: " + b"a" * 995 + b"\r\n"

    with pytest.raises(Refused):
        HeaderBlock().feed(field * 65 + b"Subject" * 100, is_last=False)


def test_a_long_body_without_header_is_accepted() -> None:
    block = HeaderBlock()

    assert block.feed(b"no header\r\n" * MAX_HEADER_BYTES, is_last=False)
    assert block.fields == []


def test_the_header_ends_the_same_in_any_packets() -> None:
    content = b"From: a\r\n b\r\nTo: c\r\n\r\nbody\r\n\r\nmore\r\n"
    for size in range(1, len(content)):
        block = HeaderBlock()
        rest = b""
        for start in range(0, len(content), size):
            part = content[start : start + size]
            if rest or block.fields:
                rest += part
            elif block.feed(part, is_last=False):
                rest = block.body

        assert ([field.name for field in block.fields], rest) == (["From", "To"], b"\r\nbody\r\n\r\nmore\r\n")


@pytest.mark.parametrize(
    ("value", "noted"),
    [("<1@a>", "<1@a>"), ("no id", None), ("<a b@c>", None), (f"<{'a' * 300}@b>", None)],
)
def test_a_well_formed_message_id_is_noted(value: str, noted: str | None) -> None:
    assert noted == message_id_of([Field.of("message-ID", value)])
