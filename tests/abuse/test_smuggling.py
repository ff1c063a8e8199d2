"""A message that pretends to end early reaches a real mail server as one message (CVE-2023-51764 to 51766)."""

import itertools

import pytest

from support.relay import RunningRelay, running_relay

LINE_ENDS = {"CRLF": b"\r\n", "LF": b"\n", "CR": b"\r", "CRCRLF": b"\r\r\n", "LFCR": b"\n\r"}
DOTS = {"dot": b".", "stuffed": b"..", "NUL dot": b"\0.", "dot NUL": b".\0", "dot blank": b". ", "dot CR": b".\r"}
PRETENDED = {
    f"{before} {dot} {after}": LINE_ENDS[before] + DOTS[dot] + LINE_ENDS[after]
    for before, dot, after in itertools.product(LINE_ENDS, DOTS, LINE_ENDS)
}
HEADER = b"From: scan@example.com\r\nSubject: first\r\n\r\nPage"
HIDDEN = (
    b"MAIL FROM:<scan@example.com>\r\nRCPT TO:<hidden@example.org>\r\nDATA\r\n"
    b"From: scan@example.com\r\nSubject: hidden\r\n\r\nsmuggled\r\n"
)


def really_ends(pretended: bytes) -> bool:
    """Whether the bytes have the end of content in them (RFC 5321 4.1.1.4), so that nothing is pretended."""
    return b"\r\n.\r\n" in pretended


PRETENCES = [name for name, pretended in PRETENDED.items() if not really_ends(pretended)]


async def submit(relay: RunningRelay, packets: list[bytes]) -> str:
    async with relay.logged_in() as client:
        await client.envelope("post@example.org")
        await client.command("DATA")
        for packet in packets:
            client.send(packet)
            await client.writer.drain()
        return await client.reply()


async def test_a_pretended_end_hides_no_second_message() -> None:
    async with running_relay() as relay:
        for name in PRETENCES:
            content = HEADER + PRETENDED[name] + HIDDEN + b".\r\n"
            answer = await submit(relay, [content])
            (received,) = relay.mail_server.messages

            assert answer.startswith("250"), name
            assert b"smuggled" in received, name
            assert received.count(b"\r\n") == received.count(b"\r") == received.count(b"\n"), name
            assert relay.mail_server.envelopes == [("scan@example.com", ["post@example.org"])], name
            relay.mail_server.messages.clear()
            relay.mail_server.envelopes.clear()

    assert len(PRETENCES) > 140


@pytest.mark.parametrize("place", range(-3, 4))
async def test_a_split_pretended_end_hides_nothing(place: int) -> None:
    async with running_relay() as relay:
        for name in ("LF dot LF", "LF dot CRLF", "CRLF dot LF", "CR dot CR", "CRLF stuffed CRLF"):
            content = HEADER + PRETENDED[name] + HIDDEN + b".\r\n"
            middle = len(HEADER) + len(PRETENDED[name]) // 2 + place
            await submit(relay, [content[:middle], content[middle:]])

    assert len(relay.mail_server.messages) == 5
    assert {tuple(to) for _, to in relay.mail_server.envelopes} == {("post@example.org",)}


async def test_what_follows_the_real_end_must_obey_the_rules() -> None:
    forged = HIDDEN.replace(b"MAIL FROM:<scan@", b"MAIL FROM:<ceo@")
    async with running_relay() as relay, relay.logged_in() as client:
        await client.envelope("post@example.org")
        await client.command("DATA")
        client.send(HEADER + b"\r\n.\r\n" + forged + b".\r\n")
        answers = []
        while answer := await client.reply():
            answers.append(answer[:3])

    assert answers[:3] == ["250", "550", "503"]
    assert len(relay.mail_server.messages) == 1
