"""Password hashes."""

import asyncio
from collections.abc import Iterator

import pytest
from argon2 import PasswordHasher, Type, extract_parameters

from mailsettings.auth.passwords import AT_ONCE, WAITING, Argon2Passwords
from mailsettings.domain.errors import TooManyLogins


@pytest.fixture
def passwords() -> Iterator[Argon2Passwords]:
    # As in the product, but for the memory: it is the library's business to use it well.
    hasher = Argon2Passwords(PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1))
    yield hasher
    hasher.close()


@pytest.mark.parametrize("password", ["correct horse", " spaces ", "pässwörd 👍", "a'b\"c\\", "x" * 255])
async def test_the_right_password_fits_and_no_other(passwords: Argon2Passwords, password: str) -> None:
    hashed = await passwords.hash(password)

    assert await passwords.verify(password, hashed)
    assert not await passwords.verify(password + " ", hashed)
    assert password not in hashed


async def test_nothing_fits_where_there_is_no_account(passwords: Argon2Passwords) -> None:
    assert not await passwords.verify("nobody's password", None)


async def test_a_damaged_hash_fits_nothing(passwords: Argon2Passwords) -> None:
    assert not await passwords.verify("correct horse", "$argon2id$nonsense")


async def test_a_password_that_no_encoding_knows_fits_nothing(passwords: Argon2Passwords) -> None:
    assert not await passwords.verify("\ud800", await passwords.hash("correct horse"))


async def test_a_flood_of_logins_is_turned_away_before_it_takes_memory(passwords: Argon2Passwords) -> None:
    """Case 38."""
    hashes = [passwords.hash("correct horse") for _ in range(AT_ONCE + WAITING + 10)]

    results = await asyncio.gather(*hashes, return_exceptions=True)

    refused = [result for result in results if isinstance(result, TooManyLogins)]
    assert len(refused) == 10
    assert await passwords.verify("correct horse", str(results[0]))


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
