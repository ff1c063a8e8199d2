"""Each kind of trouble at the mail server has its reply, which is permanent only for one message."""

import socket
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from mailsettings.domain.certificates import SystemTrust
from mailsettings.domain.errors import SecretUnreadable
from mailsettings.domain.mail_server import (
    Authentication,
    ConnectionSecurity,
    PasswordAuthentication,
    StoredMailServer,
)
from mailsettings.domain.values import Secret
from mailsettings.network.policy import EgressPolicy, Endpoint
from mailsettings.relay.replies import OutcomeUnknown, Reply

from support.canary import Canary
from support.probers import LOOPBACK
from support.processes import free_port
from support.provider import CLOSE, RESET, SILENCE, Provider, Reaction, password_login, running
from support.relaying import hand_on, outgoing, refused
from support.timeouts import scaled

STARTTLS, IMPLICIT_TLS = ConnectionSecurity.STARTTLS, ConnectionSecurity.IMPLICIT_TLS
LARGE = b"x" * 70 + b"\r\n"


def at(command: str, reply: str) -> Reaction:
    """Answer *command* with *reply*; "" is the greeting, "." the end of a message."""
    return lambda _visit, line: reply if line.startswith(command) and bool(line) == bool(command) else None


@dataclass(frozen=True)
class Case:
    """What the server does, and the reply that the device gets: code, enhanced code, a part of its text."""

    react: Reaction
    code: int
    enhanced: str
    text: str
    provider: dict[str, Any] = field(default_factory=dict)
    login: Authentication | None = field(default_factory=password_login)
    change: Callable[[StoredMailServer], StoredMailServer] = lambda stored: stored
    connector: dict[str, Any] = field(default_factory=dict)
    waits: bool = False
    """Whether the relay waits until the hold time is over."""
    unknown: bool = False


def changed(**settings: Any) -> Callable[[StoredMailServer], StoredMailServer]:
    return lambda stored: replace(stored, server=replace(stored.server, **settings))


def unknown_host(_host: str) -> list[Any]:
    raise socket.gaierror(socket.EAI_NONAME, "unknown")


def unreadable() -> str:
    raise SecretUnreadable


def good(_visit: object, _line: str) -> None:
    return None


BUSY = "mail server busy: "
LOST = "connection to the mail server lost: connection_lost"
SILENT = "mail server did not answer: deadline_exceeded"
UNKNOWN = "delivery_unknown"
CASES = {
    "refuses the connection": Case(
        good, 451, "4.4.1", "mail server not reached: connection_refused", change=changed(port=free_port())
    ),
    "has no address": Case(
        *(good, 451, "4.4.3", "mail server not found: host_not_found"),
        change=changed(host="mail.example.org"),
        connector={"resolve": unknown_host},
    ),
    "is not allowed": Case(
        *(good, 451, "4.3.5", "mail server settings not usable: address_not_allowed"),
        connector={"egress": EgressPolicy((), None)},
    ),
    "sends no greeting": Case(at("", SILENCE), 451, "4.4.2", SILENT, waits=True),
    "greets with 421": Case(at("", "421 4.3.2 Too busy"), 451, "4.3.2", "(421 4.3.2 Too busy)", waits=True),
    "greets with 554": Case(at("", "554 No service here"), 451, "4.3.2", "mail server not ready: "),
    "closes instead of a greeting": Case(at("", CLOSE), 451, "4.4.2", LOST),
    "does not speak SMTP": Case(at("", "SSH-2.0-OpenSSH_9.2"), 451, "4.3.5", "not usable: not_smtp"),
    "has an unknown certificate": Case(
        *(good, 451, "4.7.5", "connection to the mail server not secure: tls_"),
        provider={"security": IMPLICIT_TLS},
        change=changed(trust=SystemTrust()),
    ),
    "offers no STARTTLS": Case(
        good, 451, "4.7.5", "not secure: starttls_not_offered", change=changed(security=STARTTLS)
    ),
    "stays silent at STARTTLS": Case(
        at("STARTTLS", SILENCE), 451, "4.4.2", SILENT, provider={"security": STARTTLS}, waits=True
    ),
    "refuses the login": Case(
        at("AUTH", "535 5.7.8 Bad credentials"), 454, "4.7.0", "provider login failed: smtp_auth_failed"
    ),
    "cannot check the login": Case(
        at("AUTH", "454 4.7.0 Try later"), 454, "4.7.0", "provider login failed: temporary_refusal"
    ),
    "has too many connections at the login": Case(
        at("AUTH", "432 4.3.2 Concurrent connections limit exceeded"), 451, "4.3.2", BUSY, waits=True
    ),
    "stays silent at the login": Case(at("AUTH", SILENCE), 451, "4.4.2", SILENT, waits=True),
    "offers no login": Case(
        good,
        454,
        "4.7.0",
        "provider login failed: smtp_auth_not_offered",
        provider={"extensions": ("PIPELINING",)},
    ),
    "its secret cannot be read": Case(
        *(good, 451, "4.3.5", "mail server settings not usable: secret_unreadable"),
        login=PasswordAuthentication("mailer@example.org", Secret.sealed(unreadable, "label")),
    ),
    "wants a login": Case(
        at("MAIL", "530 5.7.57 Client not authenticated"), 454, "4.7.0", "smtp_auth_required", login=None
    ),
    "forgot the login": Case(at("MAIL", "535 5.7.8 Who?"), 454, "4.7.0", "provider login failed: "),
    "refuses the sender": Case(at("MAIL", "550 5.7.60 Not as this sender"), 550, "5.7.60", "Not as this sender"),
    "is closed at MAIL": Case(at("MAIL", "421 4.4.5 Too busy"), 451, "4.3.2", BUSY, waits=True),
    "is too busy at MAIL": Case(
        at("MAIL", "451 4.3.2 Slow down"), 451, "4.3.2", "(451 4.3.2 Slow down)", waits=True
    ),
    "confuses the order": Case(at("MAIL", "503 5.5.1 Hello first"), 451, "4.3.0", "unexpected_reply"),
    "stays silent at MAIL": Case(at("MAIL", SILENCE), 451, "4.4.2", SILENT, waits=True),
    "refuses the recipient": Case(at("RCPT", "550 5.1.1 No such user"), 550, "5.1.1", "No such user"),
    "refuses the recipient for now": Case(at("RCPT", "450 4.2.1 Greylisted"), 450, "4.2.1", "Greylisted"),
    "closes at the recipient": Case(at("RCPT", "421 4.3.2 Closing"), 451, "4.3.2", "mail server not ready: "),
    "is lost at the recipient": Case(at("RCPT", RESET), 451, "4.4.2", LOST),
    "sends no reply": Case(at("RCPT", "hello there"), 451, "4.3.0", "unexpected_reply"),
    "refuses DATA": Case(at("DATA", "451 4.3.0 Not now"), 451, "4.3.0", "Not now"),
    "refuses the message": Case(at(".", "554 5.6.0 Bad message"), 554, "5.6.0", "Bad message"),
    "has no room for the message": Case(at(".", "452 4.3.1 Disk full"), 452, "4.3.1", "Disk full"),
    "refuses without an enhanced code": Case(at(".", "550 Spam"), 550, "5.0.0", "Spam"),
    "closes at the final dot": Case(at(".", "421 4.3.2 Closing"), 451, "4.3.2", "mail server not ready: "),
    "is lost after the final dot": Case(at(".", CLOSE), 451, "4.4.2", UNKNOWN, unknown=True),
    "is silent after the final dot": Case(at(".", SILENCE), 451, "4.4.2", UNKNOWN, waits=True, unknown=True),
    "answers the final dot with 354": Case(at(".", "354 Go on"), 451, "4.4.2", UNKNOWN, unknown=True),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_trouble_has_its_reply(case: Case, canary: Canary) -> None:
    hold = scaled(0.15) if case.waits else 60
    login = case.login
    async with AsyncExitStack() as stack:
        provider = await stack.enter_async_context(running(Provider(case.react, **case.provider)))
        out = await stack.enter_async_context(outgoing(connector=case.connector, hold=hold))
        refusal = await refused(out, case.change(provider.stored(login)))

    reply = refusal.reply
    assert (reply.code, reply.enhanced) == (case.code, case.enhanced)
    assert case.text in reply.text
    assert isinstance(refusal, OutcomeUnknown) is case.unknown
    assert provider.messages == []
    for secret in ("canary-password", "mailer@example.org"):
        assert secret not in repr(reply)


async def test_trouble_in_the_content_ends_the_message() -> None:
    """The server refuses a message before it has read it to its end."""
    provider = Provider(limit=1000)
    async with running(provider), outgoing() as out:
        refusal = await refused(out, provider.stored(), LARGE * 100_000)

    assert (refusal.reply.code, refusal.reply.enhanced) == (552, "5.3.4")
    assert provider.messages == []


async def test_a_server_that_stops_reading_is_left() -> None:
    provider = Provider(at("DATA", "354 Go ahead"), reads=False)
    async with running(provider), outgoing(hold=scaled(0.15)) as out:
        refusal = await refused(out, provider.stored(), LARGE * 200_000)

    assert (refusal.reply.code, refusal.reply.enhanced) == (451, "4.4.2")
    assert not isinstance(refusal, OutcomeUnknown)


async def test_the_services_own_listeners_get_no_message() -> None:
    async with running(Provider()) as provider:
        egress = EgressPolicy(LOOPBACK, None, own=(Endpoint("127.0.0.1", provider.port),))
        async with outgoing(connector={"egress": egress}) as out:
            reply = (await refused(out, provider.stored(password_login()))).reply

    assert reply == Reply(451, "4.3.5", "mail server settings not usable: address_not_allowed")
    assert provider.connections == 0


@pytest.mark.parametrize("position", range(3))
async def test_a_connection_used_before_has_the_same_replies(position: int) -> None:
    """The trouble of one message says nothing about the next."""
    steps = [("MAIL", "550 5.7.1 No"), ("RCPT", "550 5.1.1 Nobody"), (".", "554 5.6.0 Bad")]
    command, reply = steps[position]
    provider = Provider()
    async with running(provider), outgoing() as out:
        server = provider.stored(password_login())
        await hand_on(out, server)
        provider.react = at(command, reply)
        refusal = await refused(out, server)
        provider.react = good
        await hand_on(out, server)

    assert f"{refusal.reply.code} {refusal.reply.enhanced} {refusal.reply.text}" == reply
    assert (provider.connections, len(provider.messages)) == (1, 2)
