"""Failed logins of others keep no owner out of an account, and guesses stay bounded all the same.

The clock stands still unless a test turns it; the database is real. `tests/store/test_login_throttling.py` holds
for both kinds of database how failures are counted.
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Literal

import httpx
import pytest
from argon2 import PasswordHasher

from mailsettings.auth.passwords import MAX_CONCURRENT_HASHES_PER_CALLER, MAX_HASHES_PER_CALLER, Argon2Passwords
from mailsettings.domain.access import OPERATOR, Account, AccountKind, Origin
from mailsettings.domain.errors import LoginRefused, TooManyLogins
from mailsettings.domain.login_throttling import (
    ACCOUNT_FROM_NETWORK_LIMIT,
    ACCOUNT_LIMIT,
    KNOWN_NETWORK_SECONDS,
    Failures,
)
from mailsettings.store.database import SQLStore
from mailsettings.use_cases.accounts import ManageAccounts
from mailsettings.use_cases.denial_log import DenialLog
from mailsettings.use_cases.login import LogIn
from mailsettings.use_cases.ports import PasswordHasher as Passwords

from support.databases import LocalStore
from support.fakes import NamesAsTokens, PlainPasswords, ScriptedProber
from support.service import BASE_URL, TOKEN, build_service
from support.timeouts import GUARD_SECONDS

HOUR, DAY = 3600, 86400
PATIENCE_SECONDS = GUARD_SECONDS
ATTACKER, HOME = "203.0.113.7", "192.0.2.1"
NAMES = {"user": "alice", "client": "robot"}
Addresses = Callable[[int], str]


class Door:
    """A service on any store, with a clock to turn, at which callers knock from any address."""

    def __init__(self, store: SQLStore, passwords: Passwords | None = None) -> None:
        self.now = 1_800_000_000.0
        self.store = store
        self.passwords = passwords or PlainPasswords()
        self.service = build_service(store, ScriptedProber(), passwords=self.passwords, clock=lambda: self.now)

    async def knock(self, who: str, address: str, secret: str = "correct horse") -> httpx.Response:
        form = {"grant_type": "password", "username": who, "password": secret}
        if who == NAMES["client"]:
            form = {"grant_type": "client_credentials", "client_id": who, "client_secret": secret}
        transport = httpx.ASGITransport(self.service, client=(address, 12345))
        async with httpx.AsyncClient(transport=transport, base_url=BASE_URL) as http:
            return await http.post(TOKEN, data=form)

    async def guess(self, who: str, address: str) -> bool:
        """Whether a wrong secret was looked at."""
        answer = await self.knock(who, address, "wrong")
        assert answer.status_code in {400, 429}
        return answer.status_code == 400

    async def guess_until_told_to_wait(self, who: str, address: str) -> int:
        guesses = 0
        while await self.guess(who, address):
            guesses += 1
        return guesses


async def with_accounts(door: Door) -> Door:
    accounts = ManageAccounts(door.store, door.passwords)
    await accounts.add(OPERATOR, Account("alice", frozenset()), "correct horse")
    await accounts.add(OPERATOR, Account("bob", frozenset()), "correct horse")
    await accounts.add(OPERATOR, Account("robot", frozenset(), AccountKind.CLIENT), "correct horse")
    return door


@pytest.fixture
def kind() -> str:
    return "sqlite"


@pytest.fixture
async def door(store: SQLStore) -> Door:
    return await with_accounts(Door(store))


class QuickDoor:
    """Logins by *alice* alone, without HTTP, for attacks that take days."""

    def __init__(self, store: LocalStore) -> None:
        self.now = 1_800_000_000.0
        self.wait = 0
        """Seconds to wait, by the last answer."""
        self.store = store
        denial_log = DenialLog(self.store, lambda: self.now)
        self.log_in = LogIn(self.store, PlainPasswords(), NamesAsTokens(), denial_log, 3600, lambda: self.now)

    async def knock(self, address: str, secret: str = "correct horse", name: str = "alice") -> str:
        try:
            await self.log_in(AccountKind.USER, name, secret, Origin(address))
        except LoginRefused:
            return "refused"
        except TooManyLogins as refused:
            self.wait = refused.retry_after_seconds
            return "wait"
        return "in"

    async def guesses_in(self, seconds: float, addresses: Addresses, at_once: int = 8) -> int:
        """Return how many guesses are verified from *at_once* addresses, each time the shortest wait is over."""
        ends, guesses, number = self.now + seconds, 0, 0
        while self.now < ends:
            waits = []
            for _ in range(at_once):
                while await self.knock(addresses(number), "wrong") == "refused":
                    guesses += 1
                waits.append(self.wait)
                number += 1
            self.now += min(waits)
        return guesses


@pytest.fixture
async def quick(local_store: LocalStore) -> QuickDoor:
    quick = QuickDoor(local_store)
    await ManageAccounts(quick.store, PlainPasswords()).add(
        OPERATOR, Account("alice", frozenset()), "correct horse"
    )
    return quick


@pytest.fixture(params=NAMES)
def who(request: pytest.FixtureRequest) -> str:
    """A user, or a client of OAuth2."""
    return NAMES[str(request.param)]


@pytest.mark.parametrize("owner_is", ["known", "at a new address each time"])
async def test_an_attacker_elsewhere_keeps_the_owner_out_of_nothing(door: Door, who: str, owner_is: str) -> None:
    """The attacker fails once whenever its wait ends, up to the longest wait; the owner logs in after each."""
    assert (await door.knock(who, HOME)).status_code == 200
    await door.guess_until_told_to_wait(who, ATTACKER)
    answers = []
    for number in range(20):
        address = HOME if owner_is == "known" else f"192.0.2.{100 + number}"
        answers.append((await door.knock(who, address)).status_code)
        delayed = await door.knock(who, ATTACKER)
        door.now += int(delayed.headers["Retry-After"])
        assert await door.guess(who, ATTACKER)

    assert answers == [200] * 20


async def test_distributed_guesses_meet_a_limit_that_spares_known_networks(door: Door, who: str) -> None:
    await door.knock(who, HOME)
    guesses = [await door.guess(who, f"203.0.{number}.1") for number in range(120)]
    stranger = await door.knock(who, "198.51.100.1")
    owner = [(await door.knock(who, HOME)).status_code for _ in range(3)]
    other_account = await door.knock("bob", "198.51.100.1")
    door.now += HOUR
    later = await door.knock(who, "198.51.100.1")

    assert guesses.count(True) == guesses.index(False) == ACCOUNT_LIMIT.failures
    assert (stranger.status_code, int(stranger.headers["Retry-After"])) == (429, HOUR)
    assert owner == [200] * 3
    assert (other_account.status_code, later.status_code) == (200, 200)


async def test_a_failing_known_network_waits_too(door: Door, who: str) -> None:
    await door.knock(who, HOME)

    assert await door.guess_until_told_to_wait(who, HOME) == ACCOUNT_FROM_NETWORK_LIMIT.free_failures
    assert (await door.knock(who, HOME)).status_code == 429


async def test_a_neighbourhood_is_known_no_more_after_thirty_days(quick: QuickDoor) -> None:
    await quick.knock(HOME)
    quick.now += KNOWN_NETWORK_SECONDS
    await reach_the_ceiling(quick)

    assert await quick.knock(HOME) == "wait"


async def test_another_password_makes_known_neighbourhoods_unknown(quick: QuickDoor) -> None:
    await quick.knock(HOME)
    accounts = ManageAccounts(quick.store, PlainPasswords())
    await accounts.set_password(OPERATOR, AccountKind.USER, "alice", "correct horse")
    await reach_the_ceiling(quick)

    assert await quick.knock(HOME) == "wait"


@pytest.mark.parametrize("fails_at", ["home", "everywhere"])
async def test_unlocking_an_account_ends_every_wait_for_it(quick: QuickDoor, fails_at: str) -> None:
    if fails_at == "home":
        while await quick.knock(HOME, "wrong") == "refused":
            pass
    else:
        await reach_the_ceiling(quick)
    before = await quick.knock(HOME)
    await ManageAccounts(quick.store, PlainPasswords()).unlock(OPERATOR, AccountKind.USER, "alice")

    assert (before, await quick.knock(HOME)) == ("wait", "in")


async def reach_the_ceiling(quick: QuickDoor) -> None:
    for number in range(ACCOUNT_LIMIT.failures):
        assert await quick.knock(f"203.0.{number}.1", "wrong") == "refused"


async def test_guesses_are_bounded_from_everywhere(quick: QuickDoor) -> None:
    guesses = await quick.guesses_in(3 * HOUR, lambda number: f"203.{number // 200}.{number % 200}.1")

    assert guesses == 3 * ACCOUNT_LIMIT.failures == 300


def test_guesses_of_a_day_are_bounded() -> None:
    failures, now, guesses = Failures(), 1_800_000_000.0, 0
    ends = now + DAY
    while now < ends:
        now += failures.wait_seconds(now)
        if now < ends:
            failures = ACCOUNT_LIMIT.after_failure(failures, now)
            guesses += 1

    assert guesses == 24 * ACCOUNT_LIMIT.failures == 2400


async def test_daily_guesses_from_a_known_network_are_limited(quick: QuickDoor) -> None:
    await quick.knock(HOME)
    guesses = await quick.guesses_in(DAY, lambda _: HOME, at_once=1)

    assert 90 <= guesses <= 110


async def test_one_network_cannot_bring_an_account_to_its_limit(quick: QuickDoor) -> None:
    """A /48 has 65,536 networks of /64."""
    for _ in range(4):
        await quick.guesses_in(HOUR, lambda number: f"2001:db8:1:{number:x}::1")
        assert await quick.knock("2001:db8:2::1") == "in"


async def test_one_neighbourhood_does_not_make_its_network_wait(quick: QuickDoor) -> None:
    for number in range(4 * 12):
        while await quick.knock("2001:db8:1:1::1", "wrong", f"name {number}") == "refused":
            pass
        assert await quick.knock("2001:db8:1:2::1") == "in"
        quick.now += 300


class HeldHasher(PasswordHasher):
    """Quick, but what it verifies of one account waits for `release`."""

    def __init__(self) -> None:
        super().__init__(time_cost=1, memory_cost=64, parallelism=1)
        self.held_hash: str | None = None
        self.release = threading.Event()
        self.held = 0

    def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:  # noqa: A002  # the library's signature
        if hash == self.held_hash:
            self.held += 1
            self.release.wait(PATIENCE_SECONDS)
        return super().verify(hash, password)


@pytest.fixture
def hasher() -> Iterator[HeldHasher]:
    hasher = HeldHasher()
    yield hasher
    hasher.release.set()


@pytest.fixture
async def busy_door(store: SQLStore, hasher: HeldHasher) -> AsyncIterator[Door]:
    """The logins of alice never end."""
    passwords = Argon2Passwords(hasher)
    door = await with_accounts(Door(store, passwords))
    async with store.reading() as view:
        found = await view.accounts.find("alice")
    hasher.held_hash = found.password_hash if found else None
    yield door
    passwords.close()


@pytest.mark.parametrize(
    "addresses", [lambda _: ATTACKER, lambda number: f"203.0.113.{number}"], ids=["one", "many"]
)
async def test_parallel_logins_of_one_account_do_not_delay_others(
    busy_door: Door, hasher: HeldHasher, addresses: Addresses
) -> None:
    many = [
        asyncio.create_task(busy_door.knock("alice", addresses(number)))
        for number in range(MAX_HASHES_PER_CALLER + 8)
    ]
    await asyncio.wait(many, timeout=PATIENCE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
    others = [await busy_door.knock(name, HOME) for name in ("bob", "robot", "bob")]
    held = hasher.held
    hasher.release.set()
    answers = [answer.status_code for answer in await asyncio.gather(*many)]

    assert [answer.status_code for answer in others] == [200] * 3
    assert held == MAX_CONCURRENT_HASHES_PER_CALLER
    assert (answers.count(200), answers.count(429)) == (MAX_HASHES_PER_CALLER, 8)
