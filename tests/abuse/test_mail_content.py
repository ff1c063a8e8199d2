"""The text of a field stays in that field: it adds no header, command or recipient."""

import email
import email.policy
import json
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from email.header import decode_header, make_header
from typing import Any, TypeVar

import httpx
import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from mailsettings.domain.connection_test import FailureCode, ProbeReport
from mailsettings.domain.errors import InvalidSetting
from mailsettings.domain.mail_server import PasswordAuthentication, Sender
from mailsettings.domain.setting import Setting
from mailsettings.domain.values import Secret

from support.service import SMTP_SETTINGS
from support.smtp_server import HOST, SENDER, USERNAME, Behaviour, RealServer, real_server

PARAGRAPHS = 3  # the text of smtp/message.py
HEADERS = [
    *("From", "To", "Subject", "Date", "Message-ID", "MIME-Version", "Content-Type"),
    *("Content-Transfer-Encoding", "Auto-Submitted"),
]
TO = "to@example.com"
CANARY = "canary-77ab"
EVIL = [
    *(
        "\r\nBcc: e@x.test",
        "\nBcc: e@x.test",
        "\rBcc: e@x.test",
        "\x00",
        "\x0b",
        "\x0c",
        "\x1c",
        "\x85",
        "\u2028",
        "\u2029",
    ),
    *(
        "\ud800",
        "\udc0d\udc0a",
        "\u202e",
        "\u200b",
        "\ufeff",
        ",",
        ";",
        ":",
        "<",
        ">",
        "@",
        '"',
        "\\",
        "(",
        ")",
        "[",
        "]",
    ),
    *("=?utf-8?q?x=0D=0ABcc=3A_e=40x=2Etest?=", "=?utf-8?b?eA0KQmNjOiBlQHg=?=", "=?utf-8?q?=0A?=", "=?", "?="),
    *(
        " ",
        "  ",
        "\t",
        ".",
        "\r\n.\r\n",
        "\r\n\r\nbody",
        "é",
        "日本語",
        "👍🏽",
        "a\u0301",
        "x" * 255,
        "é" * 100,
        "%s{0}",
    ),
]
hostile_text = st.lists(st.sampled_from(EVIL) | st.text(max_size=12), max_size=6).map("".join) | st.text(
    max_size=340
)
hostile_address = st.one_of(
    hostile_text,
    st.tuples(hostile_text, hostile_text).map("@".join),
    hostile_text.map(lambda text: f"a{text}@example.org"),
    hostile_text.map(lambda text: f"a@example.org{text}"),
    st.emails(),
)
T = TypeVar("T")
LONGEST_LOGIN_READ = 720  # in base64 a third more
thorough = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@asynccontextmanager
async def mail_server() -> AsyncIterator[RealServer]:
    async with real_server(Behaviour(password=CANARY)) as server:
        yield server


def made(make: Callable[[], T], *settings: Setting) -> T | None:
    """What *make* makes, or None where it refuses one of *settings*."""
    try:
        return make()
    except InvalidSetting as invalid:
        if invalid.setting in settings:
            return None
        raise


def is_told_by(report: ProbeReport, setting: Setting) -> bool:
    """Whether it failed as a bad value of *setting*."""
    failure = report.failure
    return failure is not None and (failure.code, failure.changes[0].setting) == (
        FailureCode.SETTING_INVALID,
        setting,
    )


def only_the_intended(server: RealServer, sender: str, recipient: str) -> str:
    """The display name of the one message, which is proved to be as it was meant."""
    [message] = server.messages
    assert server.envelopes == [(sender, [recipient])]
    assert message.isascii()
    assert b"\n" not in message.replace(b"\r\n", b"")
    assert b"\r" not in message.replace(b"\r\n", b"")
    assert max(map(len, message.split(b"\r\n"))) <= 998  # RFC 5322 2.1.1
    head, _, body = message.partition(b"\r\n\r\n")
    assert re.findall(rb"(?m)^([^\s:]+):", head) == [name.encode() for name in HEADERS]
    assert body.count(b"\r\n\r\n") == PARAGRAPHS - 1
    for policy in (email.policy.compat32, email.policy.default, email.policy.SMTP):
        read = email.message_from_bytes(message, policy=policy)
        assert read.keys() == HEADERS
        assert read.defects == []
    read = email.message_from_bytes(message, policy=email.policy.compat32)
    assert read["To"] == recipient
    return shown_name(read["From"], sender)


def shown_name(header: str, address: str) -> str:
    """The display name as a reader's program shows it: of words as they are, or decoded (RFC 2047 6.2)."""
    written = header.replace("\r\n", "").replace("\n", "")
    if written == address:
        return ""
    phrase, _, angle = written.rpartition(" <")
    assert angle == f"{address}>"
    if phrase.startswith('"'):
        assert re.fullmatch(r'"[^"\\=?]+"', phrase)  # nothing that would have to be undone, or is by some
        return phrase[1:-1]
    assert re.fullmatch(r"=\?utf-8\?[bq]\?[^? ]+\?=(\s+=\?utf-8\?[bq]\?[^? ]+\?=)*", phrase)
    return str(make_header(decode_header(phrase)))


@thorough
@given(name=hostile_text)
@example(name="=?utf-8?q?x=0D=0ABcc=3A_e=40x=2Etest?=")
@example(name=" ")
@example(name="é ")
@example(name=" é  é ")
async def test_a_display_name_is_refused_or_shown_unchanged(make_prober: Any, name: str) -> None:
    """Case 28."""
    sender = made(lambda: Sender("a@example.org", name), Setting.SENDER_NAME)
    if sender is None:
        return
    async with mail_server() as server:
        report = await make_prober().probe(replace(server.settings(), sender=sender), TO)

    assert report.succeeded
    assert only_the_intended(server, "a@example.org", TO) == name


@thorough
@given(address=hostile_address)
async def test_sender_address_is_refused_early_or_sent_unchanged(make_prober: Any, address: str) -> None:
    """Case 28."""
    async with mail_server() as server:
        sender = made(lambda: Sender(address), Setting.SENDER_ADDRESS)
        if sender is None:
            return
        report = await make_prober().probe(replace(server.settings(), sender=sender), TO)

    if is_told_by(report, Setting.SENDER_ADDRESS):
        assert server.connections == 0
    else:
        assert report.succeeded
        assert only_the_intended(server, address, TO) == ""


@thorough
@given(address=hostile_address)
async def test_a_recipient_is_refused_before_connecting_or_sent_unchanged(make_prober: Any, address: str) -> None:
    """Case 28."""
    async with mail_server() as server:
        report = await make_prober().probe(server.settings(), address)

    if is_told_by(report, Setting.RECIPIENT):
        assert server.connections == 0
    else:
        assert report.succeeded
        assert only_the_intended(server, SENDER.address, address) == SENDER.display_name


@thorough
@given(username=hostile_text, password=hostile_text)
async def test_login_is_refused_as_a_setting_or_tried_unchanged(
    make_prober: Any, username: str, password: str
) -> None:
    """Cases 27 and 28. NUL would shift the fields of AUTH PLAIN, a line break begin another command."""
    login = made(lambda: PasswordAuthentication(username, Secret(password)), Setting.USERNAME, Setting.PASSWORD)
    if login is None:
        return
    # The server of these tests reads lines of 1,000 octets, also where RFC 4954 4 has 12,288.
    assume(len(f"\0{username}\0{password}".encode()) <= LONGEST_LOGIN_READ)
    behaviour = Behaviour(password=password, username=username, mechanisms=["PLAIN"])
    async with real_server(behaviour) as server:
        report = await make_prober().probe(server.settings(login=login), TO)
    async with real_server(replace(behaviour, password="another one")) as refusing:
        refused = await make_prober().probe(refusing.settings(login=login), TO)

    assert report.succeeded
    assert not refused.succeeded
    assert (server.attempts, refusing.attempts) == (["PLAIN"], ["PLAIN"])
    assert (len(server.messages), refusing.messages) == (1, [])


@pytest.fixture
def kind() -> str:
    """What a mail holds does not depend on the database."""
    return "sqlite"


@pytest.fixture
def service_settings() -> Mapping[str, str]:
    return {"SMTP_MAX_TESTS_PER_MINUTE_PER_CLIENT": "10000"}


FIELDS = ["fromAddress", "displayName", "recieverEmail", "receiverEmail", "username", "password", "host"]


async def test_no_field_of_a_request_injects_command_or_header(http: httpx.AsyncClient) -> None:
    """Case 28."""
    for field in FIELDS:
        for evil in EVIL:
            async with mail_server() as server:
                body = {"host": HOST, "port": server.port, "fromAddress": "a@example.org", "recieverEmail": TO}
                if field == "receiverEmail":
                    del body["recieverEmail"]
                body[field] = f"{body.get(field, 'x')}{evil}"
                # ASCII, with escapes: half a surrogate has no UTF-8.
                content = json.dumps(body).encode("ascii")
                answer = await http.post(
                    f"{SMTP_SETTINGS}/testconnection",
                    content=content,
                    headers={"Content-Type": "application/json"},
                )
            said = (field, ascii(evil))
            if answer.status_code == 200:
                only_the_intended(
                    server, str(body["fromAddress"]), str(body.get("recieverEmail") or body["receiverEmail"])
                )
            else:
                assert (answer.status_code, server.messages, server.attempts) == (400, [], []), said


async def test_a_login_never_goes_over_an_unencrypted_connection(http: httpx.AsyncClient) -> None:
    """Case 22."""
    async with mail_server() as server:
        for more in ({}, {"encryptionType": "None"}, {"encryptionType": ""}, {"encryptionType": None}):
            body = {
                "host": HOST,
                "port": server.port,
                "fromAddress": "a@example.org",
                "username": USERNAME,
                "password": CANARY,
            } | more
            answer = await http.post(f"{SMTP_SETTINGS}/testconnection", json=body)
            assert answer.status_code == 400
            assert answer.json()["report"]["failure"]["code"] == "cleartext_credentials_refused"
            assert CANARY not in answer.text

    assert (server.connections, server.attempts) == (0, [])
