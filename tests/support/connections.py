"""Every connection that this process begins, as the interpreter's own audit event tells it."""

import sys
from collections.abc import Iterator
from typing import Any

import pytest

_watched: list[list[tuple[str, int]]] = []


def _note(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "socket.connect" and _watched and isinstance(arguments[1], tuple):
        for seen in _watched:
            seen.append(arguments[1][:2])


@pytest.fixture(scope="session")
def _audit() -> None:
    """An audit hook stays for good, so there is one."""
    sys.addaudithook(_note)


@pytest.fixture
def connects(_audit: None) -> Iterator[list[tuple[str, int]]]:
    """Address and port of each connection that was begun, whatever became of it."""
    seen: list[tuple[str, int]] = []
    _watched.append(seen)
    yield seen
    _watched.remove(seen)
