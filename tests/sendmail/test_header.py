"""The header that is sent, and the recipients in it, as sendmail's callers expect."""

import re
from email import message_from_bytes, policy
from email.header import decode_header, make_header

import pytest

from mailsettings.sendmail import header
from mailsettings.sendmail.failure import CONFIG, DATA, Failed

SENDER = b"web1@example.com"
ADMIN = "admin@example.com"


def fields(text: str) -> list[header.Field]:
    return header.read(text.encode().splitlines(keepends=True))[0]


def recipients(text: str) -> list[str]:
    return [address.decode() for address in header.recipients(fields(text))]


def finished(text: str, sender: bytes = SENDER, name: str = "", local_address: str = ADMIN) -> str:
    return header.finished(fields(text), sender, name, local_address).decode()


def test_recipients_are_in_to_cc_and_bcc() -> None:
    text = "To: a@x.test,\n b@x.test\nCC: C <c@x.test>\nbcc : d@x.test\nReply-To: e@x.test\nX-To: f@x.test\n"

    assert recipients(text) == ["a@x.test", "b@x.test", "c@x.test", "d@x.test"]


def test_resent_fields_take_the_place_of_the_others() -> None:
    older = "Resent-From: old@x.test\nResent-To: older@x.test\n"
    text = (
        f"Resent-From: me@x.test\nResent-To: a@x.test\nResent-Bcc: b@x.test\nReceived: by x\n{older}To: c@x.test\n"
    )

    assert recipients(text) == ["a@x.test", "b@x.test"]


def test_bcc_is_not_sent_and_others_stay_as_written() -> None:
    kept = "Received: by x\nFrom: a@x.test\nTo: b@x.test\nSubject: x\n folded\nDate: x\nMessage-ID: <1@x>\n"

    assert (
        finished(f"Bcc: c@x.test,\n d@x.test\n{kept}Resent-Bcc: e@x.test\nReturn-Path: <f@x.test>\n")
        == f"{kept}\n"
    )


def test_required_fields_are_added_where_missing() -> None:
    message = message_from_bytes(finished("To: a@x.test\n").encode(), policy=policy.default)

    assert str(message["From"]) == "web1@example.com"
    assert message["Date"].datetime.tzinfo is not None
    assert re.fullmatch(r"<[0-9a-f]{32}@example\.com>", message["Message-ID"])


@pytest.mark.parametrize("name", ["CronDaemon", 'Web "one", (test)', "Ünïcödé nämé of a machine", "x\r\nBcc: a@x"])
def test_the_full_name_is_readable_in_from(name: str) -> None:
    message = message_from_bytes(finished("To: a@x.test\n", name=name).encode(), policy=policy.default)

    assert message["From"].addresses[0].display_name == name.replace("\r\n", "")
    assert message["From"].addresses[0].addr_spec == "web1@example.com"
    assert message["Bcc"] is None


def test_a_long_name_is_split_between_characters() -> None:
    name = "ä" * 100
    lines = finished("To: a@x.test\n", name=name).partition("From: ")[2].partition("\nDate")[0].split("\n")

    assert max(map(len, lines)) <= 100
    assert str(make_header(decode_header(" ".join(lines)))) == f"{name} <web1@example.com>"


def test_local_names_become_the_configured_addresses() -> None:
    text = finished(
        "From: root (Cron Daemon)\nTo: root, Ops <ops@x.test>,\n www@web1\nDate: x\nMessage-ID: <1@x>\n"
    )

    assert text == (
        "From: web1@example.com (Cron Daemon)\nTo: admin@example.com, Ops <ops@x.test>,\n admin@example.com\n"
        "Date: x\nMessage-ID: <1@x>\n\n"
    )


def test_without_a_configured_address_the_header_stays() -> None:
    assert finished("To: root\n", local_address="").startswith("To: root\n")


@pytest.mark.parametrize(
    ("text", "names", "body"),
    [
        ("Subject: x\n\nbody\n", ["subject"], b""),
        ("Subject: x\r\n\r\nbody", ["subject"], b""),
        ("Subject: x\nno field\nmore\n", ["subject"], b"no field\n"),
        ("hello\n", [], b"hello\n"),
        (" hello: x\n", [], b" hello: x\n"),
        ("From a@b Mon Jan  1\nSubject: x", ["subject"], b""),
        ("", [], b""),
    ],
)
def test_the_header_ends_where_its_fields_end(text: str, names: list[str], body: bytes) -> None:
    found, rest = header.read(text.encode().splitlines(keepends=True))

    assert [field.name.decode() for field in found] == names
    assert rest == body


def test_an_endless_header_is_refused() -> None:
    lines = (b"X-%d: %s\n" % (number, b"x" * 1000) for number in range(2000))

    with pytest.raises(Failed, match="header of the message is longer") as raised:
        header.read(lines)

    assert raised.value.code == DATA


@pytest.mark.parametrize(
    ("given", "sender"),
    [
        (None, "web1@example.com"),
        ("a@x.test", "a@x.test"),
        ("A B <a@x.test>", "a@x.test"),
        ("root", "web1@example.com"),
        ("", ""),
        ("<>", ""),
    ],
)
def test_the_envelope_sender_is_the_given_or_configured(given: str | None, sender: str) -> None:
    assert header.sender_of(given, SENDER.decode(), ADMIN).decode() == sender


def test_two_senders_or_none_at_all_are_refused() -> None:
    with pytest.raises(Failed, match="single address") as two:
        header.sender_of("a@x.test, b@x.test", "", "")
    with pytest.raises(Failed, match="gives no sender") as missing:
        header.sender_of(None, "", "")

    assert (two.value.code, missing.value.code) == (DATA, CONFIG)
