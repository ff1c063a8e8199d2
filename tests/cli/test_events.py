"""Server-sent events are read as the HTML standard defines them (9.2.6)."""

import pytest

from mailsettings.cli.client.events import Event, read_events

STREAM = (
    b': comment\n\nevent: stage\ndata: {"stage":\ndata: "connect"}\n\nid: 7\nretry: 5\ndata:1\n\n'
    b'event: nothing\n\nevent: done\r\ndata: "\xc3\xbc"\r\n\r\nevent: cut\ndata: 2\n'
)
EVENTS = [("stage", {"stage": "connect"}), ("message", 1), ("done", "ü")]


@pytest.mark.parametrize("size", [1, 2, 3, 7, len(STREAM)])
@pytest.mark.parametrize("ending", [b"\n", b"\r\n", b"\r"])
def test_events_are_read_whatever_the_chunks(size: int, ending: bytes) -> None:
    stream = STREAM.replace(b"\r\n", b"\n").replace(b"\n", ending)
    chunks = [stream[start : start + size] for start in range(0, len(stream), size)]

    assert list(read_events(chunks)) == [Event(name, data) for name, data in EVENTS]
