"""Content leaves as one message, however it arrives."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailsettings.relay.incoming.content import ContentDecoder, ContentEncoder

END = b"\r\n.\r\n"
TRICKY = [b"\r", b"\n", b"\r\n", b".", b"..", b"a", b"\r\n.", b"\r\n..", b"\n.\n", b"\r.\r", b"\0", END]
streams = st.lists(st.sampled_from(TRICKY), max_size=14).map(b"".join)


def decoded(packets: list[bytes]) -> tuple[bytes, bytes | None]:
    decoder = ContentDecoder()
    content = b""
    while packets and decoder.rest is None:
        content += decoder.feed(packets.pop(0))
    return content, None if decoder.rest is None else decoder.rest + b"".join(packets)


def relayed(packets: list[bytes]) -> bytes:
    """What the mail server gets for *packets*, up to the end of the content and with the final dot."""
    decoder, encoder = ContentDecoder(), ContentEncoder()
    sent = b""
    for packet in packets:
        if decoder.rest is None:
            sent += encoder.feed(decoder.feed(packet))
    return sent + b".\r\n"


def packets_of(stream: bytes, places: list[int]) -> list[bytes]:
    cuts = [0, *sorted(place % (len(stream) + 1) for place in places), len(stream)]
    return [stream[start:end] for start, end in itertools.pairwise(cuts)]


def messages_seen(wire: bytes, line_ends: tuple[bytes, ...]) -> int:
    """How often a receiver that takes each of *line_ends* for the end of a line sees a line of a dot only."""
    first, *others = line_ends
    for other in others:
        wire = wire.replace(other, first)
    return sum(line == b"." for line in wire.split(first))


@pytest.mark.parametrize(
    ("sent", "content"),
    [
        (b".\r\n", b""),
        (b"\r\n.\r\n", b"\r\n"),
        (b"a\r\n.\r\n", b"a\r\n"),
        (b"..a\r\n.\r\n", b".a\r\n"),
        (b".a\r\n.\r\n", b"a\r\n"),
        (b"a\r\n..\r\nb\r\n.\r\n", b"a\r\n.\r\nb\r\n"),
        (b"a\nb\rc\r\n.\r\n", b"a\r\nb\r\nc\r\n"),
        (b"a\n.\nb\r\n.\r\n", b"a\r\n.\r\nb\r\n"),
        (b"a\r.\rb\r\n.\r\n", b"a\r\n.\r\nb\r\n"),
        (b"a\n.\r\nb\r\n.\r\n", b"a\r\n.\r\nb\r\n"),
        (b"a\r\n.\nb\r\n.\r\n", b"a\r\n\r\nb\r\n"),
        (b"a\r\n.\rb\r\n.\r\n", b"a\r\n\r\nb\r\n"),
        (b"a\r\r\n.\r\n", b"a\r\n\r\n"),
        (b"a\r\n.\r\r\n.\r\n", b"a\r\n\r\n\r\n"),
    ],
)
def test_only_cr_lf_dot_cr_lf_ends_content(sent: bytes, content: bytes) -> None:
    assert (content, b"QUIT\r\n") == decoded([sent + b"QUIT\r\n"])


def test_a_stuffed_dot_is_stuffed_again() -> None:
    assert relayed([b"a\n.\nb\r\n.\r\n"]) == b"a\r\n..\r\nb\r\n.\r\n"


@settings(max_examples=400)
@given(stream=streams, places=st.lists(st.integers(0, 60), max_size=6))
def test_packets_do_not_change_the_content(stream: bytes, places: list[int]) -> None:
    whole = stream + END

    assert decoded([whole]) == decoded(packets_of(whole, places))


@settings(max_examples=400)
@given(stream=streams, places=st.lists(st.integers(0, 60), max_size=6))
def test_every_receiver_sees_one_message(stream: bytes, places: list[int]) -> None:
    wire = relayed(packets_of(stream + END, places))

    assert wire.count(b"\r\n") == wire.count(b"\r") == wire.count(b"\n")
    for line_ends in [(b"\r\n",), (b"\n", b"\r\n"), (b"\n", b"\r\n", b"\r")]:
        assert messages_seen(wire, line_ends) == 1


@settings(max_examples=200)
@given(lines=st.lists(st.sampled_from([b"", b".", b"..", b"a", b".a", b"\xff\x00"]), max_size=6))
def test_content_of_lines_arrives_unchanged(lines: list[bytes]) -> None:
    content = b"".join(line + b"\r\n" for line in lines)
    wire = b"".join((b"." + line if line.startswith(b".") else line) + b"\r\n" for line in lines) + b".\r\n"

    assert (content, b"") == decoded([wire])
    assert wire == relayed([wire])
