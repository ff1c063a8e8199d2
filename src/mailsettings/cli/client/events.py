"""Read server-sent events (HTML standard, section 9.2.6)."""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

_END_OF_LINE = re.compile(rb"\r\n|\n|\r(?!$)")
"""A CR at the end of what has come may be the first half of CR LF."""


@dataclass(frozen=True, slots=True)
class Event:
    """The name of an event and its data, which is JSON."""

    name: str
    data: Any = field(repr=False)


def read_events(chunks: Iterable[bytes]) -> Iterator[Event]:
    """Yield each event as soon as it is complete; an event that the end cuts off is dropped."""
    name, data = "message", []
    for line in _lines(chunks):
        key, _, value = line.partition(":")
        value = value.removeprefix(" ")
        # `id` and `retry` are passed over: a command connects once. A line that begins with a colon is a comment.
        if key == "event":
            name = value
        elif key == "data":
            data.append(value)
        elif not line:
            if data:
                yield Event(name, json.loads("\n".join(data)))
            name, data = "message", []


def _lines(chunks: Iterable[bytes]) -> Iterator[str]:
    rest = b""
    for chunk in chunks:
        *lines, rest = _END_OF_LINE.split(rest + chunk)
        for line in lines:
            yield line.decode("utf-8", errors="replace")
    if rest.endswith(b"\r"):
        yield rest[:-1].decode("utf-8", errors="replace")
