"""Password hashes: correct, equally slow for unknown names, and bounded in number."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import pytest
from argon2 import PasswordHasher, Type, extract_parameters

from mailsettings.auth.passwords import MAX_CONCURRENT_HASHES, MAX_WAITING_HASHES, Argon2Passwords
from mailsettings.domain.errors import TooManyLogins


class Watched(PasswordHasher):
    """Records its calls, their threads and their concurrency; waits for `release`."""

    def __init__(self) -> None:
        super().__init__(time_cost=1, memory_cost=1024, parallelism=1)
        self.asked: list[str] = []
        self.threads: set[str] = set()
        self.peak = 0
        self.release = threading.Event()
        self.release.set()
        self._now = 0
        self._lock = threading.Lock()

    def hash(self, password: str | bytes, *, salt: bytes | None = None) -> str:
        with self._noted("hash"):
            return super().hash(password, salt=salt)

    def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:  # noqa: A002  # as in the library
        with self._noted(f"verify {str(hash).rpartition('$')[0][:30]}"):
            return super().verify(hash, password)

    @contextmanager
    def _noted(self, what: str) -> Iterator[None]:
        with self._lock:
            self.asked.append(what)
            self.threads.add(threading.current_thread().name.partition("_")[0])
            self._now += 1
            self.peak = max(self.peak, self._now)
        try:
            self.release.wait(30)
            yield
        finally:
            with self._lock:
                self._now -= 1


@pytest.fixture
def watched() -> Iterator[Watched]:
    watched = Watched()
    yield watched
    watched.release.set()


@pytest.fixture
def passwords() -> Iterator[Argon2Passwords]:
    # As in the product, but for the memory: it is the library's business to use it well.
    hasher = Argon2Passwords(PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1))
    yield hasher
    hasher.close()


@pytest.mark.parametrize("password", ["correct horse", " spaces ", "pässwörd 👍", "a'b\"c\\", "x" * 255])
async def test_only_the_right_password_matches(passwords: Argon2Passwords, password: str) -> None:
    hashed = await passwords.hash(password)

    assert await passwords.verify(password, hashed)
    assert not await passwords.verify(password + " ", hashed)
    assert password not in hashed


async def test_no_password_matches_without_an_account(passwords: Argon2Passwords) -> None:
    assert not await passwords.verify("nobody's password", None)


async def test_a_damaged_hash_matches_nothing(passwords: Argon2Passwords) -> None:
    assert not await passwords.verify("correct horse", "$argon2id$nonsense")


async def test_a_password_with_lone_surrogates_matches_nothing(passwords: Argon2Passwords) -> None:
    assert not await passwords.verify("\ud800", await passwords.hash("correct horse"))


async def test_a_flood_of_logins_is_rejected_before_using_memory(passwords: Argon2Passwords) -> None:
    """Case 38."""
    hashes = [passwords.hash("correct horse") for _ in range(MAX_CONCURRENT_HASHES + MAX_WAITING_HASHES + 10)]

    results = await asyncio.gather(*hashes, return_exceptions=True)

    refused = [str(result) for result in results if isinstance(result, TooManyLogins)]
    assert refused == ["Too many logins at once. Try again in 5 seconds."] * 10
    assert await passwords.verify("correct horse", str(results[0]))


async def test_after_a_flood_logins_work_as_before(passwords: Argon2Passwords) -> None:
    for _ in range(2):
        hashes = [passwords.hash("correct horse") for _ in range(MAX_CONCURRENT_HASHES + MAX_WAITING_HASHES + 3)]
        results = await asyncio.gather(*hashes, return_exceptions=True)

        assert sum(isinstance(result, TooManyLogins) for result in results) == 3


async def test_an_unknown_name_takes_as_long_as_wrong_passwords(watched: Watched) -> None:
    passwords = Argon2Passwords(watched)
    stored = await passwords.hash("correct horse")
    await passwords.verify("the first login of all", stored)
    first = watched.asked.copy()
    for password_hash in (stored, None):
        watched.asked.clear()
        assert not await passwords.verify("wrong", password_hash)
        assert watched.asked == ["verify $argon2id$v=19$m=1024,t=1,p=1$"]
    passwords.close()

    assert first == ["hash", "hash", "verify $argon2id$v=19$m=1024,t=1,p=1$"]


async def test_four_hashes_run_on_their_own_threads(watched: Watched) -> None:
    passwords = Argon2Passwords(watched)
    watched.release.clear()
    hashes = asyncio.gather(*(passwords.hash("correct horse") for _ in range(20)))
    while watched.peak < MAX_CONCURRENT_HASHES:  # noqa: ASYNC110  # threads set no asyncio.Event
        await asyncio.sleep(0.01)
    watched.release.set()
    await hashes
    passwords.close()

    assert (watched.peak, watched.threads) == (MAX_CONCURRENT_HASHES, {"argon2"})


async def test_shutdown_neither_waits_for_nor_starts_hashes(watched: Watched) -> None:
    passwords = Argon2Passwords(watched)
    watched.release.clear()
    hashes = [asyncio.create_task(passwords.hash("correct horse")) for _ in range(MAX_CONCURRENT_HASHES + 1)]
    while watched.peak < MAX_CONCURRENT_HASHES:  # noqa: ASYNC110  # as above
        await asyncio.sleep(0.01)
    in_case_it_waits = threading.Timer(10, watched.release.set)
    in_case_it_waits.start()
    passwords.close()
    waited = watched.release.is_set()
    in_case_it_waits.cancel()
    watched.release.set()
    results = await asyncio.gather(*hashes, return_exceptions=True)

    assert not waited
    assert [type(result) for result in results] == [str] * MAX_CONCURRENT_HASHES + [asyncio.CancelledError]


async def test_hashes_are_argon2id_with_the_parameters_of_rfc_9106() -> None:
    passwords = Argon2Passwords()
    parameters = extract_parameters(await passwords.hash("correct horse"))
    passwords.close()

    assert (
        parameters.type,
        parameters.time_cost,
        parameters.memory_cost,
        parameters.parallelism,
    ) == (Type.ID, 3, 65536, 4)
