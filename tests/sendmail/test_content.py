"""Content leaves with CRLF line ends and stuffed dots, in any parts that it arrives in, in bounded memory."""

import tracemalloc
from io import BytesIO

import pytest

from mailsettings.sendmail.content import Content, lines_of

TEXTS = {
    b"": b"",
    b"a": b"a\r\n",
    b"a\nb\n": b"a\r\nb\r\n",
    b"a\r\nb\r\n": b"a\r\nb\r\n",
    b"10%\r20%\rdone\n": b"10%\r\n20%\r\ndone\r\n",
    b"a\r": b"a\r\n",
    b"\n\n": b"\r\n\r\n",
    b".": b"..\r\n",
    b".\n..\na.b\n.c": b"..\r\n...\r\na.b\r\n..c\r\n",
    b"a\n.\nDATA\n": b"a\r\n..\r\nDATA\r\n",
    b"a\r.\r\nb": b"a\r\n..\r\nb\r\n",
    b"x\r\n.\r\nMAIL FROM:<>\r\n": b"x\r\n..\r\nMAIL FROM:<>\r\n",
}


@pytest.mark.parametrize("text", TEXTS)
def test_the_wire_form_is_the_same_in_any_parts(text: bytes) -> None:
    for size in (1, 2, 3, 100):
        content = Content()
        for start in range(0, len(text), size):
            content.add(text[start : start + size])
        content.end()

        assert b"".join(content) == TEXTS[text]
        assert content.size == len(TEXTS[text])


def test_a_lone_dot_ends_the_message_unless_told_otherwise() -> None:
    text = b"a\n.b\n.\nc\n"

    assert list(lines_of(BytesIO(text), dot_ends=True)) == [b"a\n", b".b\n"]
    assert b"".join(lines_of(BytesIO(text), dot_ends=False)) == text


def test_a_long_message_stays_out_of_memory() -> None:
    content, stream = Content(), BytesIO((b"0" * 998 + b"\n") * 20_000)
    tracemalloc.start()
    content.add_all(stream)
    content.end()
    length = sum(map(len, content))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    content.close()

    assert length == content.size == 20_000 * 1000
    assert peak < 4 << 20
