"""The parameters of MAIL and 8-bit content, by the extensions that the mail server offers."""

import pytest

from mailsettings.relay.outgoing.pools import MailCommand, Transfer
from mailsettings.relay.replies import Refused

from support.provider import Provider, Visit, running
from support.relaying import CONTENT, MAIL, TO, deliver, hand_on, outgoing, refused

EVERYTHING = ("PIPELINING", "8BITMIME", "SMTPUTF8", "SIZE 1000000")
EIGHT_BIT = "Subject: scan\r\n\r\nGr\u00fc\u00dfe\r\n".encode()
COMMANDS = {
    "all": (EVERYTHING, "MAIL FROM:<scan@example.org> SIZE=100 BODY=8BITMIME SMTPUTF8"),
    "no SIZE": (EVERYTHING[:3], "MAIL FROM:<scan@example.org> BODY=8BITMIME SMTPUTF8"),
    "no 8BITMIME": (EVERYTHING[2:], "MAIL FROM:<scan@example.org> SIZE=100 SMTPUTF8"),
}


@pytest.mark.parametrize(("offered", "command"), COMMANDS.values(), ids=COMMANDS)
async def test_only_offered_parameters_are_sent(offered: tuple[str, ...], command: str) -> None:
    mail = MailCommand("scan@example.org", size=100, eight_bit=True, smtputf8=True)
    async with running(Provider(extensions=offered)) as provider, outgoing() as out:
        await deliver(await out.begin(provider.stored(), mail, TO, data=True))

    assert [line for line in provider.heard if line.startswith("MAIL")] == [command]


@pytest.mark.parametrize("sender", ["", "scan@example.org"])
async def test_the_sender_may_be_empty(sender: str) -> None:
    async with running(Provider()) as provider, outgoing() as out:
        await deliver(await out.begin(provider.stored(), MailCommand(sender), TO, data=True))

    assert [found for found, _, _ in provider.messages] == [sender]


async def test_eight_bit_content_passes_where_offered() -> None:
    async with running(Provider()) as provider, outgoing() as out:
        await hand_on(out, provider.stored(), content=EIGHT_BIT)

    assert [content for _, _, content in provider.messages] == [EIGHT_BIT]


async def test_eight_bit_content_is_refused_where_not_offered() -> None:
    """RFC 6152 3: the client converts the content, or treats it as a permanent error."""
    async with running(Provider(extensions=("PIPELINING",))) as provider, outgoing() as out:
        server = provider.stored()
        refusal = await refused(out, server, EIGHT_BIT)
        await hand_on(out, server)

    assert (refusal.reply.code, refusal.reply.enhanced) == (554, "5.6.3")
    assert [content for _, _, content in provider.messages] == [CONTENT]


REFUSALS = {
    "SMTPUTF8": (MailCommand("scan@example.org", smtputf8=True), ("PIPELINING",), (550, "5.6.7")),
    "too large": (MailCommand("scan@example.org", size=1_000_001), EVERYTHING, (552, "5.3.4")),
    "line end": (MailCommand("scan@example.org>\r\nRCPT TO:<x"), EVERYTHING, (501, "5.1.7")),
    "letters": (MailCommand("scan@ex\u00e4mple.org"), EVERYTHING, (550, "5.6.7")),
}


@pytest.mark.parametrize(("mail", "offered", "code"), REFUSALS.values(), ids=REFUSALS)
async def test_an_impossible_sender_is_refused_unsent(
    mail: MailCommand, offered: tuple[str, ...], code: tuple[int, str]
) -> None:
    async with running(Provider(extensions=offered)) as provider, outgoing() as out:
        server = provider.stored()
        with pytest.raises(Refused) as caught:
            await out.begin(server, mail, TO, data=True)
        await hand_on(out, server)

    assert (caught.value.reply.code, caught.value.reply.enhanced) == code
    assert (provider.connections, len(provider.messages)) == (1, 1)


async def test_data_accepted_without_recipients_sends_no_message() -> None:
    """Some servers take a lone dot after such a 354 for an empty message, so the connection is closed."""

    def react(_visit: Visit, line: str) -> str | None:
        if "dead@" in line:
            return "550 5.1.1 No such user"
        return "354 Go ahead" if line == "DATA" else None

    async with running(Provider(react)) as provider, outgoing() as out:
        server = provider.stored()
        transfer = await out.begin(server, MAIL, ["dead@example.com"], data=True)
        with pytest.raises(Refused) as caught:
            await transfer.start_content()
        await hand_on(out, server)

    assert [reply.code for reply in transfer.recipient_replies] == [550]
    assert (caught.value.reply.code, caught.value.reply.enhanced) == (554, "5.5.1")
    assert (provider.connections, len(provider.messages)) == (2, 1)


async def test_data_accepted_after_a_refused_sender_sends_no_message() -> None:
    def react(visit: Visit, line: str) -> str | None:
        if visit.number > 1:
            return None
        return {"MAIL": "550 5.7.1 No", "DATA": "354 Go ahead"}.get(line[:4])

    async with running(Provider(react)) as provider, outgoing() as out:
        server = provider.stored()
        refusal = await refused(out, server)
        await hand_on(out, server)

    assert (refusal.reply.code, refusal.reply.text) == (550, "No")
    assert (provider.connections, len(provider.messages)) == (2, 1)


async def test_an_abandoned_envelope_costs_no_connection() -> None:
    async with running(Provider()) as provider, outgoing() as out:
        server = provider.stored()
        (await out.begin(server, MAIL, TO, data=False)).abandon()
        provider.packets.clear()
        await hand_on(out, server)

    assert (provider.connections, len(provider.messages)) == (1, 1)
    assert [line.split(":")[0] for line in provider.packets[0]] == ["RSET", "MAIL FROM", "RCPT TO", "DATA"]


async def test_a_slow_server_slows_the_content_down() -> None:
    """Content waits at its source and not in the memory of the relay."""
    passed_on = 0

    async def pass_on(transfer: Transfer) -> None:
        nonlocal passed_on
        while passed_on < 10**9:
            await transfer.write(b"x" * 65534 + b"\r\n")
            passed_on += 65536

    async with running(Provider(reads=False)) as provider, outgoing(hold=0.3) as out:
        transfer = await out.begin(provider.stored(), MAIL, TO, data=True)
        await transfer.start_content()
        with pytest.raises(Refused) as caught:
            await pass_on(transfer)

    assert caught.value.reply.code == 451
    assert 65536 <= passed_on < 20_000_000
