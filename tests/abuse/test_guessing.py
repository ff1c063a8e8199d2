"""Guessing passwords teaches nothing, costs the same for every name, and does not fill the memory.

Time is counted in verifications, which are what takes it, and not in milliseconds of a busy machine.
"""

import asyncio
import threading
from collections.abc import AsyncIterator
from typing import Any, Literal

import httpx
import pytest
from argon2 import Parameters, PasswordHasher, extract_parameters
from argon2.profiles import RFC_9106_LOW_MEMORY
from starlette.types import ASGIApp

from mailsettings.auth.passwords import MAX_CONCURRENT_HASHES, Argon2Passwords
from mailsettings.domain.access import OPERATOR, Account, AccountKind
from mailsettings.domain.login_throttling import ACCOUNT_FROM_NETWORK_LIMIT
from mailsettings.use_cases.accounts import ManageAccounts

from support.canary import Canary
from support.databases import LocalStore, records
from support.fakes import ScriptedProber
from support.service import ADMIN, BASE_URL, TOKEN, build_service
from support.timeouts import GUARD_SECONDS

NOW = 1_000_000.0
MOST_KIBIBYTES = 256 * 1024
PATIENCE_SECONDS = GUARD_SECONDS


class WatchedHasher(PasswordHasher):
    """Fast; records each verification and how many run at the same time."""

    def __init__(self) -> None:
        super().__init__(time_cost=1, memory_cost=64, parallelism=1)
        self.verified: list[Parameters] = []
        self.most_at_once = 0
        self.meeting: threading.Barrier | None = None
        self._running = 0
        self._lock = threading.Lock()

    def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:  # noqa: A002  # the library's signature
        with self._lock:
            self._running += 1
            self.most_at_once = max(self.most_at_once, self._running)
            self.verified.append(extract_parameters(str(hash)))
        try:
            if self.meeting is not None:
                self.meeting.wait(PATIENCE_SECONDS)
            return super().verify(hash, password)
        finally:
            with self._lock:
                self._running -= 1


class Door:
    """A service with a stopped clock."""

    def __init__(self, service: ASGIApp, hasher: WatchedHasher, store: LocalStore) -> None:
        self.service = service
        self.hasher = hasher
        self.store = store

    async def knock(self, name: str, password: str, address: str = "127.0.0.1") -> httpx.Response:
        form = {"grant_type": "password", "username": name, "password": password}
        transport = httpx.ASGITransport(self.service, client=(address, 12345))
        async with httpx.AsyncClient(transport=transport, base_url=BASE_URL) as http:
            return await http.post(TOKEN, data=form)


@pytest.fixture
async def door(canary: Canary, local_store: LocalStore) -> AsyncIterator[Door]:
    """The accounts `admin` and the machine `robot` have the canary for a secret."""
    hasher, store = WatchedHasher(), local_store
    passwords = Argon2Passwords(hasher)
    accounts = ManageAccounts(store, passwords)
    await accounts.add(OPERATOR, ADMIN, canary.secret)
    await accounts.add(OPERATOR, Account("robot", frozenset(), AccountKind.CLIENT), canary.secret)
    service = build_service(store, ScriptedProber(), passwords=passwords, clock=lambda: NOW)
    yield Door(service, hasher, store)
    passwords.close()


def said(answer: httpx.Response) -> tuple[Any, ...]:
    """All of *answer* but what is every answer's own."""
    account_from_network = {"x-request-id", "date"}
    return (
        answer.status_code,
        answer.content,
        sorted(set(answer.headers.items()) - set(own_of(answer, account_from_network))),
    )


def own_of(answer: httpx.Response, names: set[str]) -> list[tuple[str, str]]:
    return [(name, value) for name, value in answer.headers.items() if name in names]


async def test_wrong_credentials_get_equal_responses_and_equal_work(door: Door, canary: Canary) -> None:
    """Case 38."""
    tries = [
        ("admin", "wrong"),
        ("nobody", "wrong"),
        ("nobody", canary.secret),
        ("robot", canary.secret),  # a machine does not log in as a person
        ("no\0name", "wrong"),
        ("admin", canary.secret[:-1]),
    ]
    answers, work = [], []
    for name, password in tries:
        before = len(door.hasher.verified)
        answers.append(await door.knock(name, password))
        work.append(door.hasher.verified[before:])

    assert {answer.status_code for answer in answers} == {400}
    assert all(said(answer) == said(answers[0]) for answer in answers)
    assert [len(each) for each in work] == [1] * len(tries)
    assert all(each == work[0] for each in work)
    canary.assert_nowhere(*(answer.content for answer in answers), repr(await records(door.store)))


async def test_guesses_at_known_and_unknown_names_are_answered_alike(door: Door, canary: Canary) -> None:
    """Case 38. Most logins are refused before any work, the correct login too."""
    for number in range(100):
        somebody = await door.knock(
            "admin", canary.secret if number >= ACCOUNT_FROM_NETWORK_LIMIT.free_failures else "wrong"
        )
        nobody = await door.knock("nobody", "wrong")
        assert said(somebody) == said(nobody)

    assert (somebody.status_code, int(somebody.headers["Retry-After"])) == (
        429,
        ACCOUNT_FROM_NETWORK_LIMIT.first_wait_seconds,
    )
    assert len(door.hasher.verified) == 2 * ACCOUNT_FROM_NETWORK_LIMIT.free_failures
    canary.assert_nowhere(somebody.content)


async def test_logins_side_by_side_take_turns_for_the_memory(door: Door) -> None:
    """Case 38. Each verification waits for as many others as may run, and would show one more."""
    door.hasher.meeting = threading.Barrier(MAX_CONCURRENT_HASHES)
    many = 13 * MAX_CONCURRENT_HASHES

    answers = await asyncio.gather(
        *(door.knock(f"name {number}", "wrong", f"192.0.2.{number}") for number in range(many))
    )

    assert {answer.status_code for answer in answers} <= {400, 429}
    assert len(door.hasher.verified) == many
    assert door.hasher.most_at_once == MAX_CONCURRENT_HASHES
    assert MAX_CONCURRENT_HASHES * RFC_9106_LOW_MEMORY.memory_cost <= MOST_KIBIBYTES
