"""Nothing that arrived in clear counts after STARTTLS (RFC 3207 4.2, CVE-2011-0411, CVE-2024-34083)."""

import pytest

from mailsettings.domain.listening import ListenerKind

from support.relay import DEVICE, SECRET, SubmissionClient, plain, running_relay

LOGIN = f"AUTH PLAIN {plain(DEVICE.name, SECRET)}\r\n"
INJECTED = [
    "NOOP\r\n",
    "EHLO attacker.example.net\r\n",
    f"EHLO attacker.example.net\r\n{LOGIN}MAIL FROM:<scan@example.com>\r\nRCPT TO:<a@example.net>\r\nDATA\r\n",
    "MAIL FROM:<scan",
    "\0" * 1000,
]


async def upgrade(client: SubmissionClient, packet: str) -> None:
    client.send(packet)
    assert (await client.reply()).startswith("220")
    await client.start_tls_now()


@pytest.mark.parametrize("kind", [ListenerKind.STARTTLS, ListenerKind.PLAIN])
@pytest.mark.parametrize("injected", INJECTED)
async def test_commands_behind_starttls_are_dropped(kind: ListenerKind, injected: str) -> None:
    async with running_relay(kind) as relay, relay.client() as client:
        await client.command("EHLO device.example.com")
        await upgrade(client, f"STARTTLS\r\n{injected}")
        answers = [
            await client.command(line) for line in ("RCPT TO:<a@example.org>", "MAIL FROM:<scan@example.com>")
        ]
        hello = await client.command("EHLO device.example.com")

    assert [answer[:9] for answer in answers] == ["503 5.5.1"] * 2
    assert "AUTH PLAIN LOGIN" in hello
    assert relay.outgoing.begun == []


@pytest.mark.parametrize("injected", [text for text in INJECTED if len(text) > 5])
async def test_clear_text_in_front_of_the_handshake_ends_it(injected: str) -> None:
    async with running_relay(ListenerKind.STARTTLS) as relay, relay.client() as client:
        await client.command("EHLO device.example.com")
        assert (await client.command("STARTTLS")).startswith("220")
        client.send(injected)
        if len(injected) < 100:
            client.send("\0" * 100)

        assert await client.is_closed()


async def test_a_login_in_clear_ends_with_starttls() -> None:
    async with running_relay(ListenerKind.PLAIN) as relay, relay.logged_in() as client:
        await client.envelope("post@example.org")
        await client.start_tls()
        await client.command("EHLO device.example.com")
        answer = await client.command("MAIL FROM:<scan@example.com>")

    assert answer.startswith("530 5.7.0")
