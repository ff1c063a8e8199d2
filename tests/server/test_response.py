"""How long an answer may wait for its client: time in which nothing waits does not count."""

import asyncio
from collections.abc import Iterator

import pytest

from mailsettings.server.response import MIN_READ_BYTES, ResponseDeadline

SECONDS = 10


class Clock(asyncio.SelectorEventLoop):
    """An event loop with a manual clock."""

    now = 0.0

    def time(self) -> float:
        return self.now


class Client:
    """Reads what it was sent on request of the test."""

    def __init__(self) -> None:
        self.loop = Clock()
        self.unsent = 0
        self.is_given_up = False
        self.deadline = ResponseDeadline(self.loop, SECONDS, lambda: self.unsent, self._give_up)

    def _give_up(self) -> None:
        self.is_given_up = True

    def send(self, size: int) -> None:
        self.unsent += size
        self.deadline.begin()
        self.deadline.add(size)

    def take(self, size: int) -> None:
        self.unsent -= size
        if not self.unsent:
            self.deadline.end()

    def wait(self, seconds: float) -> None:
        self.loop.now += seconds
        for _ in range(2):  # timers that are due are called in the round after
            self.loop.call_soon(self.loop.stop)
            self.loop.run_forever()


@pytest.fixture
def client() -> Iterator[Client]:
    client = Client()
    yield client
    client.loop.close()


def test_a_client_that_takes_nothing_is_given_up(client: Client) -> None:
    client.send(1)
    client.wait(SECONDS - 0.1)
    assert not client.is_given_up
    client.wait(0.2)

    assert client.is_given_up


def test_a_client_that_takes_enough_goes_on(client: Client) -> None:
    for _ in range(10):
        client.send(2 * MIN_READ_BYTES)
        client.wait(SECONDS - 0.1)
        client.take(MIN_READ_BYTES)
        client.wait(0.2)
        client.take(MIN_READ_BYTES)

    assert not client.is_given_up


def test_small_parts_that_are_each_taken_late_add_up(client: Client) -> None:
    for _ in range(2):
        client.send(1000)
        client.wait(0.4 * SECONDS)
        client.take(client.unsent)

    assert not client.is_given_up
    client.send(1000)
    client.wait(0.3 * SECONDS)
    assert client.is_given_up


def test_time_in_which_nothing_waits_does_not_count(client: Client) -> None:
    for _ in range(10):
        client.send(1000)
        client.wait(0.5)
        client.take(1000)
        client.wait(10 * SECONDS)

    assert not client.is_given_up


def test_each_answer_has_the_whole_time(client: Client) -> None:
    for _ in range(10):
        client.send(1000)
        client.wait(SECONDS / 2)
        client.take(1000)
        client.deadline.reset()

    assert not client.is_given_up
